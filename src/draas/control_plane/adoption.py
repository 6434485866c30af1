"""At the start: what an earlier control plane left is taken over, finished or named (B-104)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from draas.contract.slots import MAIN, SECOND
from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.leadership import Leadership
from draas.control_plane.monitor import running_in
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Running
from draas.control_plane.records import Cause, Record, Slot, put, slots_of, stamp
from draas.control_plane.status import transition
from draas.control_plane.transitions import ended, halted, located
from draas.model.clock import Clock
from draas.model.status import InstanceStatus, RunState

NOT_RUNNING = "was not running when the control plane started"
AT_ONCE = 8
_UNSETTLED = (
    InstanceStatus.RUNNING.value,
    InstanceStatus.STARTING.value,
    InstanceStatus.STOPPING.value,
)


async def adopt_all(
    fleet: Fleet, platforms: Platforms, leadership: Leadership, clock: Clock
) -> int:
    """Settle every instance that was running or changing; how many servers were taken over.

    Where a crash left a server sealed for a second one, it leads on.

    Raises:
        StoreError: it could not be recorded; try again.
    """
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(record: Record) -> bool:
        async with at_once:
            adopted = await _adopt(fleet, platforms, record, Cause(stamp(clock.now())))
            if record.spare is not None and record.instance.id in fleet:
                await leadership.mend(fleet.get(record.instance.id))
            return adopted

    concerned = [each for each in fleet if fleet.is_here(each) and _is_unsettled(each)]
    return sum(await asyncio.gather(*(one(record) for record in concerned)))


async def _adopt(fleet: Fleet, platforms: Platforms, record: Record, cause: Cause) -> bool:
    instance_id = record.instance.id
    platform = platforms.find(record.instance.platform_type)
    found: dict[str, Running] = {}
    if platform is not None:
        known = {slot.name: running_in(record, slot.name) for slot in slots_of(record)}
        stopping = _was_being_stopped(record)
        for name in (MAIN, SECOND):
            running = await platform.adopt(known.get(name), instance_id, name)
            if running is not None and (stopping or name not in known):
                await platform.stop(instance_id, name)
            elif running is not None:
                found[name] = running

    def decide(present: Record | None) -> Transition:
        if present is None or not fleet.is_here(present):
            return Transition(present)
        return settled(present, found, cause, fleet.host)

    await fleet.change(instance_id, decide)
    return bool(found)


def _is_unsettled(record: Record) -> bool:
    held = bool(slots_of(record)) or record.instance.operation is not None
    return held or record.instance.status in _UNSETTLED


def _was_being_stopped(record: Record) -> bool:
    """Whether a stop was under way; anybody may report that one is, and decides nothing by it."""
    instance = record.instance
    is_called = instance.operation is not None or instance.desired_run_state == RunState.STOPPED
    return instance.status == InstanceStatus.STOPPING and is_called


def settled(
    record: Record, found: Mapping[str, Running], cause: Cause, host: str | None = None
) -> Transition:
    """The instance as it was found on this host: which of its slots run, or why none does."""
    if not slots_of(record) and record.instance.status not in _UNSETTLED:
        return transition(record, put(record, operation=None), cause)
    spare = record.spare and _located_or_gone(record.spare, found, host)
    role = record.instance.second_slot if spare else None
    seen = put(record, spare=spare, second_slot=role)
    slot = record.slot and _located_or_gone(record.slot, found, host)
    if slot is not None:
        after = put(
            seen,
            status=InstanceStatus.RUNNING.value,
            slot=slot,
            operation=None,
            started_at=record.started_at or cause.at,
            reason=None,
        )
        return transition(record, after, cause)
    if _was_being_stopped(record) or record.instance.desired_run_state != RunState.RUNNING.value:
        return halted(record, cause)
    return transition(record, ended(seen, InstanceStatus.ERROR, NOT_RUNNING, cause).record, cause)


def _located_or_gone(slot: Slot, found: Mapping[str, Running], host: str | None) -> Slot | None:
    """A slot as it was found on this host, `None` where nothing runs in it."""
    if slot.name not in found:
        return None
    return msgspec.structs.replace(located(slot, found[slot.name]), host_id=host)
