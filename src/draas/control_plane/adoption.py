"""At the start: what an earlier control plane left is taken over, finished or named (B-104)."""

from __future__ import annotations

import asyncio

import msgspec

from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.monitor import running_of
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Running
from draas.control_plane.records import SLOT, Cause, Record, put, stamp
from draas.control_plane.status import transition
from draas.control_plane.transitions import ended, located
from draas.model.clock import Clock
from draas.model.status import InstanceStatus, RunState

NOT_RUNNING = "was not running when the control plane started"
AT_ONCE = 8
_UNSETTLED = (
    InstanceStatus.RUNNING.value,
    InstanceStatus.STARTING.value,
    InstanceStatus.STOPPING.value,
)


async def adopt_all(fleet: Fleet, platforms: Platforms, clock: Clock) -> int:
    """Settle every instance that was running or changing; how many servers were taken over.

    Raises:
        StoreError: it could not be recorded; try again.
    """
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(record: Record) -> bool:
        async with at_once:
            return await _adopt(fleet, platforms, record, Cause(stamp(clock.now())))

    concerned = [each for each in fleet if fleet.is_here(each) and _is_unsettled(each)]
    return sum(await asyncio.gather(*(one(record) for record in concerned)))


async def _adopt(fleet: Fleet, platforms: Platforms, record: Record, cause: Cause) -> bool:
    instance_id = record.instance.id
    platform = platforms.find(record.instance.platform_type)
    running: Running | None = None
    if platform is not None:
        running = await platform.adopt(running_of(record), instance_id, SLOT)
        if running is not None and record.instance.status == InstanceStatus.STOPPING.value:
            await platform.stop(instance_id, SLOT)
            running = None

    def decide(present: Record | None) -> Transition:
        if present is None or not fleet.is_here(present):
            return Transition(present)
        return settled(present, running, cause, fleet.host)

    await fleet.change(instance_id, decide)
    return running is not None


def _is_unsettled(record: Record) -> bool:
    held = record.slot is not None or record.instance.operation is not None
    return held or record.instance.status in _UNSETTLED


def settled(
    record: Record, running: Running | None, cause: Cause, host: str | None = None
) -> Transition:
    """The instance as it was found on this host: running, or not running and why."""
    if record.slot is None and record.instance.status not in _UNSETTLED:
        return transition(record, put(record, operation=None), cause)
    if running is not None and record.slot is not None:
        slot = msgspec.structs.replace(located(record.slot, running), host_id=host)
        after = put(
            record,
            status=InstanceStatus.RUNNING.value,
            slot=slot,
            operation=None,
            started_at=record.started_at or cause.at,
            reason=None,
        )
        return transition(record, after, cause)
    status, wanted = record.instance.status, record.instance.desired_run_state
    if status == InstanceStatus.STOPPING.value or wanted != RunState.RUNNING.value:
        return ended(record, InstanceStatus.STOPPED, None, cause)
    return ended(record, InstanceStatus.ERROR, NOT_RUNNING, cause)
