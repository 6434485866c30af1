"""What becomes of the instances of a host that is gone, back, or given up: pure decisions."""

from __future__ import annotations

from draas.control_plane.adoption import settled
from draas.control_plane.fleet import Transition
from draas.control_plane.ownership import owner
from draas.control_plane.records import Cause, Host, Record, put, slots_of
from draas.control_plane.status import transition
from draas.control_plane.transitions import ended, halted
from draas.model.status import Health, InstanceStatus, RunState

_GONE = "the control plane of its host is not heard of: "
"""How the reason begins where nobody knows what a host runs."""
_IN_TRANSITION = (InstanceStatus.STARTING.value, InstanceStatus.STOPPING.value)


def lost(record: Record | None, host: Host, cause: Cause) -> Transition:
    """An instance of a host that is not heard of: Unknown, or nobody's if nothing runs there.

    What was being started or stopped there stays so, as its host has to finish it.
    """
    if record is None or owner(record) != host.id:
        return Transition(record)
    if not slots_of(record):
        return settled(record, {}, cause)
    status = record.instance.status
    after = put(
        record,
        status=status if status in _IN_TRANSITION else InstanceStatus.UNKNOWN.value,
        health=Health.UNKNOWN.value,
        reason=f"{_GONE}{host.id} at {host.url}",
        observed_components_digest=None,
    )
    return transition(record, after, cause)


def found_again(record: Record | None, cause: Cause) -> Transition:
    """An instance of this host of which others said that nobody knows: the next look will tell."""
    reason = record.instance.reason if record else None
    if record is None or reason is None or not reason.startswith(_GONE):
        return Transition(record)
    is_unknown = record.instance.status == InstanceStatus.UNKNOWN.value
    status = InstanceStatus.RUNNING.value if is_unknown else record.instance.status
    return transition(record, put(record, status=status, reason=None), cause)


def given_up(record: Record | None, host_id: str, cause: Cause) -> Transition:
    """An instance of a host that never comes back: it runs nowhere."""
    if record is None or owner(record) != host_id:
        return Transition(record)
    if record.instance.desired_run_state != RunState.RUNNING.value:
        return halted(record, cause)
    why = f"its host {host_id} was given up"
    after = ended(put(record, spare=None, second_slot=None), InstanceStatus.ERROR, why, cause)
    return transition(record, after.record, cause)
