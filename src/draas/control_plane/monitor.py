"""Looks at every running server in turn: health, drift behind our back, the last good one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.last_good import praised
from draas.control_plane.patience import Patience
from draas.control_plane.ports import Observation, Observer, Running
from draas.control_plane.records import Cause, Record, Slot, put, slots_of, stamp
from draas.control_plane.status import transition
from draas.control_plane.store import StoreError
from draas.control_plane.transitions import ended
from draas.model.clock import Clock
from draas.model.configuration import ConfigurationError, from_snapshot, observable_digest
from draas.model.status import Health, InstanceStatus, RunState

AT_ONCE = 16
"""How many servers are looked at at the same time."""

_BUSY = tuple(
    each.value
    for each in (
        InstanceStatus.RUNNING,
        InstanceStatus.STARTING,
        InstanceStatus.STOPPING,
        InstanceStatus.UNKNOWN,
    )
)


_ONLY_REPORTED = (
    InstanceStatus.CREATED,
    InstanceStatus.STARTING,
    InstanceStatus.STOPPING,
    InstanceStatus.STOPPED,
)
"""What is not true of an instance that no call holds and that has a process (B-23)."""


class Monitor:
    """Keeps health and observed levels true; every server once in each `interval` seconds."""

    def __init__(self, fleet: Fleet, observer: Observer, clock: Clock, interval: float) -> None:
        self._fleet = fleet
        self._observer = observer
        self._clock = clock
        self._interval = interval
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._patience = Patience()
        self._looks: dict[str, asyncio.Task[None]] = {}

    async def watch_forever(self) -> None:
        """Until cancelled: all that run, spread over the interval."""
        while True:
            running = [
                each.instance.id
                for each in self._fleet
                if (running_of(each) and self._fleet.is_here(each)) or is_untrue(each)
            ]
            pause = self._interval / max(1, len(running))
            for instance_id in running:
                self.soon(instance_id)
                await asyncio.sleep(pause)
            if not running:
                await asyncio.sleep(self._interval)

    def soon(self, instance_id: str) -> None:
        """Look at a server now, unless somebody is looking."""
        if instance_id not in self._looks:
            task = asyncio.get_running_loop().create_task(self._look(instance_id))
            self._looks[instance_id] = task
            task.add_done_callback(lambda _: self._looks.pop(instance_id, None))

    async def close(self) -> None:
        """Drop what is being looked at."""
        looks = list(self._looks.values())
        for task in looks:
            task.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def _look(self, instance_id: str) -> None:
        async with self._at_once:
            if instance_id not in self._fleet:
                return
            record = self._fleet.get(instance_id)
            if not self._fleet.is_here(record):
                return
            running = running_of(record)
            decide = corrected if running is None else await self._seen(record, running)
        cause = Cause(stamp(self._clock.now()), source="Monitor")
        with contextlib.suppress(StoreError):  # the next look tells the same
            await self._fleet.change(instance_id, lambda record: decide(record, cause))

    async def _seen(
        self, looked_at: Record, running: Running
    ) -> Callable[[Record | None, Cause], Transition]:
        seen = self._patience.judged(running, await self._observer.observe(running))
        return lambda record, cause: noted(record, looked_at.slot, seen, cause)


def components_digest(seen: Observation) -> tuple[str | None, str | None]:
    """The digest of what a server reports; or `None` with the reason if it cannot be read."""
    if seen.snapshot is None:
        return None, None
    try:
        return observable_digest(from_snapshot(seen.snapshot)), None
    except ConfigurationError as error:
        return None, f"the snapshot cannot be read: {error}"[:500]


def noted(
    record: Record | None,
    looked_at: Slot | None,
    seen: Observation,
    cause: Cause,
) -> Transition:
    """What a look makes of an instance; nothing, if something else runs or works there now."""
    if record is None or record.instance.operation is not None:
        return Transition(record)
    if not _same(record.slot, looked_at):
        return Transition(record)
    observed, unreadable = components_digest(seen)
    health = Health.UNKNOWN if unreadable and seen.health is Health.HEALTHY else seen.health
    after = put(
        praised(record, health, observed),
        health=health.value,
        reason=unreadable or seen.reason,
        observed_components_digest=observed,
    )
    runs = seen.health in (Health.HEALTHY, Health.DEGRADED)
    if runs or record.instance.status in _ONLY_REPORTED:
        after = put(after, status=InstanceStatus.RUNNING.value)
    return transition(record, after, cause)


def _same(one: Slot | None, other: Slot | None) -> bool:
    """Whether it is one slot, whatever share of the traffic it has."""
    return one is other or (
        one is not None
        and other is not None
        and (msgspec.structs.replace(one, weight=0) == msgspec.structs.replace(other, weight=0))
    )


def is_untrue(record: Record) -> bool:
    """Whether something is said to run where nothing does, as anybody may report (B-23)."""
    instance = record.instance
    return record.slot is None and instance.operation is None and instance.status in _BUSY


def corrected(record: Record | None, cause: Cause) -> Transition:
    """An instance of which nothing runs, whatever was reported of it."""
    if record is None or not is_untrue(record):
        return Transition(record)
    if record.instance.desired_run_state == RunState.RUNNING.value:
        reason = f"reported as {record.instance.status}, but nothing runs"
        return ended(record, InstanceStatus.ERROR, reason, cause)
    return ended(record, InstanceStatus.STOPPED, None, cause)


def running_of(record: Record) -> Running | None:
    """What serves an instance, once the platform has said what it is."""
    return _running(record, record.slot)


def running_in(record: Record, name: str) -> Running | None:
    """What runs in a slot of an instance, `None` if nothing does."""
    return next((_running(record, slot) for slot in slots_of(record) if slot.name == name), None)


def _running(record: Record, slot: Slot | None) -> Running | None:
    if slot is None or slot.process_id is None or slot.process_started is None:
        return None
    return Running(
        record.instance.id,
        slot.name,
        slot.process_id,
        slot.process_started,
        slot.host,
        slot.port,
    )
