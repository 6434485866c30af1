"""What a call on a second slot makes of an instance, step by step: pure, for the one writer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from draas.contract.problems import ProblemError
from draas.contract.slots import CANDIDATE, RETIRED
from draas.control_plane.fleet import Transition
from draas.control_plane.monitor import running_in
from draas.control_plane.ports import Running
from draas.control_plane.records import Cause, Record, Slot, put
from draas.control_plane.status import transition
from draas.control_plane.transitions import fence, free, located
from draas.model.instance import OperationInFlight
from draas.model.status import InstanceStatus


def holding(
    record: Record | None,
    instance_id: str,
    mine: OperationInFlight,
    cause: Cause,
    successor: str = "",
) -> Transition:
    """Hold a running instance for a call on its slots; or one whose `successor` runs on alone.

    Raises:
        ProblemError: instance-not-found, stale-fence, instance-busy or instance-not-running.
    """
    present = free(record, instance_id, mine)
    serves = present.slot is not None and present.instance.status == InstanceStatus.RUNNING.value
    left = present.slot is None and running_in(present, successor) is not None
    if not (serves or left):
        raise ProblemError(
            "instance-not-running", f"instance {instance_id!r} does not run; start it"
        )
    return transition(present, put(present, operation=mine, fence=fence(present, mine)), cause)


def opening(record: Record, candidate: Slot, cause: Cause) -> Transition:
    """A candidate beside the serving slot; the same one again changes nothing.

    Raises:
        ProblemError: another slot is there (slot-occupied).
    """
    if is_open(record, candidate.digest):
        return Transition(record)
    if record.spare is not None:
        raise ProblemError(
            "slot-occupied",
            f"instance {record.instance.id!r} has a {record.instance.second_slot} slot "
            f"{record.spare.name!r} already; remove it first",
        )
    fresh = msgspec.structs.replace(candidate, weight=0)
    serving = record.slot and msgspec.structs.replace(record.slot, mirrored=fresh.mirrored)
    after = put(record, slot=serving, spare=fresh, second_slot=CANDIDATE)
    return transition(record, after, cause)


def opened(record: Record, running: Running, cause: Cause) -> Transition:
    """The spare slot answers, as the process that the platform named."""
    if record.spare is None:
        return Transition(record)
    return transition(record, put(record, spare=located(record.spare, running)), cause)


def is_open(record: Record, digest: str) -> bool:
    """Whether a candidate with this configuration is there, or is being started."""
    spare, role = record.spare, record.instance.second_slot
    return spare is not None and role == CANDIDATE and spare.digest == digest


def weighed(record: Record, weights: Mapping[str, int], cause: Cause) -> Transition:
    """Each slot with its share of the traffic, in percent."""
    slot, spare = record.slot, record.spare
    after = put(
        record,
        slot=slot and msgspec.structs.replace(slot, weight=weights.get(slot.name, 0)),
        spare=spare and msgspec.structs.replace(spare, weight=weights.get(spare.name, 0)),
    )
    return transition(record, after, cause)


def switched(record: Record, name: str, digests: Mapping[str, str], cause: Cause) -> Transition:
    """The spare slot serves, with all of the traffic; the one that served, if any, is retired.

    `digests` are of the components of slots that have others than before, by their names. Who goes
    back to the configuration that was good before takes back that the newer one was good.
    """
    slot, spare = (_with(each, digests) for each in (record.slot, record.spare))
    if slot is not None and slot.name == name:
        return weighed(put(record, slot=slot, spare=spare), {name: 100}, cause)
    if spare is None or spare.name != name:
        return Transition(record)
    good = record.instance.last_good_generation
    earlier = record.earlier_good_generation
    if slot and earlier is not None and (spare.generation, slot.generation) == (earlier, good):
        record = put(record, last_good_generation=earlier, earlier_good_generation=None)
    after = put(
        record,
        status=InstanceStatus.RUNNING.value,
        slot=msgspec.structs.replace(spare, weight=100, at=cause.at),
        spare=slot and msgspec.structs.replace(slot, weight=0),
        second_slot=RETIRED if slot else None,
        reason=None,
        observed_components_digest=None,
        started_at=cause.at,
    )
    return transition(record, after, cause)


def _with(slot: Slot | None, digests: Mapping[str, str]) -> Slot | None:
    if slot is None or slot.name not in digests:
        return slot
    return msgspec.structs.replace(slot, components_digest=digests[slot.name])


def closed(record: Record | None, name: str, cause: Cause) -> Transition:
    """Nothing is left of the spare slot."""
    if record is None or record.spare is None or record.spare.name != name:
        return Transition(record)
    slot = record.slot and msgspec.structs.replace(record.slot, weight=100)
    return transition(record, put(record, slot=slot, spare=None, second_slot=None), cause)
