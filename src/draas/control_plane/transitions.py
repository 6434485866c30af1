"""What a lifecycle call makes of an instance, step by step: pure, for the fleet's one writer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane.fleet import Transition
from draas.control_plane.last_good import doubted
from draas.control_plane.ownership import require_here
from draas.control_plane.picture import absent
from draas.control_plane.ports import Running
from draas.control_plane.records import Cause, Record, Slot, put
from draas.control_plane.status import transition
from draas.model.instance import OperationInFlight
from draas.model.status import Health, InstanceStatus, RunState

IDLE = (InstanceStatus.CREATED.value, InstanceStatus.STOPPED.value)
"""Statuses in which a stop has nothing to do."""


def free(record: Record | None, instance_id: str, mine: OperationInFlight) -> Record:
    """The record, if no other call holds the instance and none with a newer fence came before.

    A call is told from another by itself and not by the id that its client gave: clients send one
    id with a whole sequence of calls, and with the same call again.

    Raises:
        ProblemError: instance-not-found, stale-fence, or instance-busy with the operation that
            holds it, or because another host has it.
    """
    if record is None:
        raise absent(instance_id)
    if mine.fence is not None and mine.fence < record.fence:
        raise ProblemError(
            "stale-fence",
            f"instance {instance_id!r} was taken over: fence {mine.fence} is older than "
            f"{record.fence}; whoever holds it must let go",
            fence=mine.fence,
            highest=record.fence,
        )
    require_here(record, mine.host)
    held = record.instance.operation
    if held is None or held == mine:
        return record
    raise ProblemError(
        "instance-busy",
        f"instance {instance_id!r} is held by a {held.kind} that {held.actor or 'somebody'} "
        f"began at {held.started_at}; try again when it is done",
        operation=msgspec.to_builtins(held),
    )


def wanted(record: Record) -> bool:
    """Whether its user wants it to run."""
    return record.instance.desired_run_state == RunState.RUNNING.value


def fence(record: Record, mine: OperationInFlight) -> int:
    """The highest fence of an instance once a call has taken it."""
    return max(record.fence, mine.fence or 0)


def starting(
    record: Record, slot: Slot, mine: OperationInFlight, desired: Mapping[str, str], cause: Cause
) -> Transition:
    """Hold the instance as Starting; where the very same runs already, only what is desired.

    Raises:
        ProblemError: it runs with another configuration (instance-running), or this is a step of an
            operation, and its user wants it stopped by now (stopped-by-user).
    """
    if mine.fence is not None and not desired and not wanted(record):
        raise ProblemError(
            "stopped-by-user",
            f"instance {record.instance.id!r} was stopped by its user, and no operation starts it",
        )
    if record.slot is None:
        after = put(
            record,
            status=InstanceStatus.STARTING.value,
            health=Health.UNKNOWN.value,
            reason=None,
            observed_components_digest=None,
            slot=slot,
            operation=mine,
            fence=fence(record, mine),
            **desired,
        )
        return transition(record, after, cause)
    if record.slot.digest == slot.digest:
        after = put(record, operation=None, fence=fence(record, mine), **desired)
        return transition(record, after, cause)
    raise ProblemError(
        "instance-running",
        f"instance {record.instance.id!r} runs with another configuration; stop it first, "
        "or restart it",
    )


def placed_anew(record: Record | None, slot: Slot, cause: Cause) -> Transition:
    """The slot that is being started, at other ports."""
    if record is None or record.slot is None:
        return Transition(record)
    return transition(record, put(record, slot=slot), cause)


def ready(record: Record, running: Running, cause: Cause) -> Transition:
    """It answers: Running, as the process that the platform named."""
    if record.slot is None:
        return Transition(record)
    after = put(
        record,
        status=InstanceStatus.RUNNING.value,
        reason=None,
        slot=located(record.slot, running),
        operation=None,
        started_at=cause.at,
        stopped_at=None,
    )
    return transition(record, after, cause)


def located(slot: Slot, running: Running) -> Slot:
    """The slot with the identity of what runs in it."""
    return msgspec.structs.replace(
        slot,
        process_id=running.process_id,
        process_started=running.process_started,
        host=running.host,
        port=running.port,
    )


def changing(
    record: Record | None, instance_id: str, mine: OperationInFlight, cause: Cause
) -> Transition:
    """Hold a running instance while its server is changed in place.

    Raises:
        ProblemError: instance-not-found, stale-fence, instance-busy or instance-not-running.
    """
    present = free(record, instance_id, mine)
    if present.slot is None or present.instance.status != InstanceStatus.RUNNING.value:
        raise ProblemError(
            "instance-not-running", f"instance {instance_id!r} does not run; start it"
        )
    return transition(present, put(present, operation=mine, fence=fence(present, mine)), cause)


def changed(record: Record, slot: Slot, cause: Cause) -> Transition:
    """The server runs what `slot` says, as the process that it was."""
    if record.slot is None:
        return Transition(record)
    present = record.slot
    now = msgspec.structs.replace(
        slot,
        name=present.name,
        weight=present.weight,
        host=present.host,
        port=present.port,
        process_id=present.process_id,
        process_started=present.process_started,
    )
    after = put(
        record,
        slot=now,
        reason=None,
        operation=None,
        observed_components_digest=slot.components_digest,
    )
    return transition(record, after, cause)


def stopping(
    record: Record, mine: OperationInFlight, desired: Mapping[str, str], cause: Cause
) -> Transition:
    """Hold the instance as Stopping."""
    after = put(
        record,
        status=InstanceStatus.STOPPING.value,
        reason=None,
        operation=mine,
        fence=fence(record, mine),
        **desired,
    )
    return transition(record, after, cause)


def ended(
    record: Record,
    status: InstanceStatus,
    reason: str | None,
    cause: Cause,
    *,
    operation: OperationInFlight | None = None,
) -> Transition:
    """Nothing runs any more: stopped as told, or an Error with its reason."""
    after = put(
        record,
        status=status.value,
        reason=reason,
        health=Health.UNKNOWN.value,
        observed_components_digest=None,
        slot=None,
        operation=operation,
        stopped_at=cause.at,
    )
    return transition(record, after, cause)


def halted(
    record: Record, cause: Cause, *, operation: OperationInFlight | None = None
) -> Transition:
    """Stopped as told, with every slot."""
    alone = put(record, spare=None, second_slot=None)
    after = ended(alone, InstanceStatus.STOPPED, None, cause, operation=operation).record
    return transition(record, after, cause)


def exited(record: Record | None, process_id: int, reason: str, cause: Cause) -> Transition:
    """A process ended by itself: an Error at once (B-29), if it is the one that counts."""
    if record is None or record.slot is None or record.slot.process_id != process_id:
        return Transition(record)
    if record.instance.operation is not None:
        return Transition(record)
    after = ended(doubted(record, cause.at), InstanceStatus.ERROR, reason, cause).record
    return transition(record, after, cause)


def unstoppable(record: Record, reason: str, cause: Cause) -> Transition:
    """It could not be stopped: an Error in which something still runs."""
    after = put(record, status=InstanceStatus.ERROR.value, reason=reason, operation=None)
    return transition(record, after, cause)


def released(record: Record | None, mine: OperationInFlight, cause: Cause) -> Transition:
    """The instance without this operation, should it still be held by it: it did not finish."""
    held = record.instance.operation if record else None
    if record is None or held != mine:
        return Transition(record)
    between = (InstanceStatus.STARTING.value, InstanceStatus.STOPPING.value)
    status = record.instance.status
    after = put(
        record,
        operation=None,
        status=InstanceStatus.ERROR.value if status in between else status,
        reason=f"{mine.kind} {mine.id} did not finish",
    )
    return transition(record, after, cause)
