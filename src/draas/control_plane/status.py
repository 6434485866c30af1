"""The one transition function: from what an instance was and becomes, the events follow (B-23)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from draas.contract.feed import Change
from draas.contract.problems import ProblemError
from draas.control_plane.fleet import HELD, Fleet, Transition
from draas.control_plane.picture import absent
from draas.control_plane.records import Cause, Generation, Record, put
from draas.model.instance import Instance
from draas.model.status import InstanceStatus

REPORTED = "reported:"
"""Before the keys of what others told us: shown, and never decided on (B-88)."""
MOST_REPORTED = 64
"""Keys of what others told us that are kept, those told last: nobody can take one away."""


def transition(
    before: Record | None,
    after: Record | None,
    cause: Cause,
    *,
    generation: Generation | None = None,
) -> Transition:
    """`after`, with an event for every level in which it differs from `before`.

    A changed configuration is an event of its own and never a status (B-24 to B-28).
    """
    kinds: Iterable[tuple[str, dict[str, Any]]]
    if after is None:
        kinds = [("Deleted", {})]
    elif before is None:
        kinds = [("Created", {"new_status": after.instance.status})]
    else:
        kinds = list(_differences(before.instance, after.instance))
        if not kinds and after.fence > before.fence:
            kinds = [("Fenced", {})]
        if not kinds and (after.slot, after.spare) != (before.slot, before.spare):
            kinds = [("SlotsChanged", {})]
        if not kinds and after.instance.operation != before.instance.operation:
            kinds = [(HELD, {})]
    told = before or after
    changes = tuple(_event(told, kind, cause, extra) for kind, extra in kinds) if told else ()
    return Transition(after, changes, generation)


def _event(record: Record, kind: str, cause: Cause, extra: Mapping[str, Any]) -> Change:
    return Change(
        sequence=0,
        kind=kind,
        instance_id=record.instance.id,
        at=cause.at,
        actor=cause.actor,
        operation_id=cause.operation_id,
        fence=cause.fence,
        source=cause.source,
        **extra,
    )


_DESCRIBED = ("name", "description", "labels", "metadata")


def _differences(before: Instance, after: Instance) -> Iterator[tuple[str, dict[str, Any]]]:
    if any(getattr(after, name) != getattr(before, name) for name in _DESCRIBED):
        yield "Described", {}
    if after.generation != before.generation:
        kind = InstanceStatus.CONFIGURATION_CHANGED.value
        yield (
            "ConfigurationChanged",
            {
                "old_status": before.status,
                "new_status": kind,
                "metadata": {"ChangeType": "PatchApplied", "Generation": str(after.generation)},
            },
        )
    if after.desired_run_state != before.desired_run_state:
        yield "DesiredRunStateChanged", {"metadata": {"DesiredRunState": after.desired_run_state}}
    reworded = after.reason != before.reason and after.health == before.health
    if after.status != before.status or (reworded and after.applied_digest is None):
        why = {"Reason": after.reason} if after.reason else {}
        yield (
            "StatusChanged",
            {"old_status": before.status, "new_status": after.status, "metadata": why},
        )
        reworded = False
    if after.applied_at != before.applied_at or after.applied_digest != before.applied_digest:
        yield "Applied", {}
    if after.health != before.health or (reworded and after.applied_digest is not None):
        why = {"Health": after.health} | ({"Reason": after.reason} if after.reason else {})
        yield "HealthChanged", {"metadata": why}
    if after.observed_components_digest != before.observed_components_digest:
        yield "ObservedChanged", {}
    if after.second_slot != before.second_slot:
        yield "SlotsChanged", {"metadata": {"SecondSlot": after.second_slot or "none"}}
    if after.last_good_generation != before.last_good_generation:
        yield "LastGood", {"metadata": {"Generation": str(after.last_good_generation)}}


def parse_status(value: Any, parameter: str) -> InstanceStatus:
    """A status that an instance can be in, by name or number.

    Raises:
        ProblemError: it is none (invalid-parameter).
    """
    try:
        status = InstanceStatus.parse(value)
    except ValueError as error:
        raise ProblemError(
            "invalid-parameter",
            f"{parameter}: {error}"[:500],
            parameter=parameter,
            value=_short(value),
        ) from None
    if status is InstanceStatus.CONFIGURATION_CHANGED:
        raise ProblemError(
            "invalid-parameter",
            f"{parameter}: ConfigurationChanged is an event, not a status; PATCH the configuration",
            parameter=parameter,
            value=_short(value),
        )
    return status


def _short(value: Any) -> Any:
    return value if isinstance(value, int | float | bool | None) else str(value)[:200]


def _newest(known: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    fresh = {REPORTED + key: text for key, text in told.items()}
    both = {key: text for key, text in known.items() if key not in fresh} | fresh
    return dict(list(both.items())[-MOST_REPORTED:])


async def report(
    fleet: Fleet,
    instance_id: str,
    status: InstanceStatus,
    cause: Cause,
    reported: Mapping[str, str],
) -> Record:
    """Set the status that somebody reports, and keep what else was said apart.

    The monitor corrects what a look at the platform shows to be otherwise.

    Raises:
        ProblemError: there is no such instance.
    """

    def decide(record: Record | None) -> Transition:
        if record is None:
            raise absent(instance_id)
        changed = status.value != record.instance.status
        after = put(
            record,
            status=status.value,
            reason=None if changed else record.instance.reason,
            reported=_newest(record.reported, reported),
        )
        done = transition(record, after, cause)
        if done.changes or after.reported == record.reported:
            return done
        same = {"old_status": status.value, "new_status": status.value}
        return Transition(after, (_event(after, "StatusChanged", cause, same),))

    record = await fleet.change(instance_id, decide)
    return record or fleet.get(instance_id)
