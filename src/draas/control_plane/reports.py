"""What others say of an instance: kept apart, and never believed against what is seen (B-88)."""

from __future__ import annotations

from collections.abc import Mapping

from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.monitor import is_same_slot, running_of
from draas.control_plane.picture import absent
from draas.control_plane.ports import Observer
from draas.control_plane.records import Cause, Record, Slot, put
from draas.control_plane.status import event_of, transition
from draas.model.status import Health, InstanceStatus

REPORTED = "reported:"
"""Before the keys of what others told us: shown, and never decided on."""
MOST_REPORTED = 64
"""Keys of what others told us that are kept, those told last: nobody can take one away."""


class Reports:
    """Takes in the status that somebody reports, and what else was said."""

    def __init__(self, fleet: Fleet, observer: Observer) -> None:
        self._fleet = fleet
        self._observer = observer

    async def take(
        self, instance_id: str, status: InstanceStatus, cause: Cause, told: Mapping[str, str]
    ) -> Record:
        """Set the status, unless a look shows that the instance runs; who follows acts at once.

        Where its server cannot be looked at the monitor puts right later what is otherwise.

        Raises:
            ProblemError: there is no such instance.
        """
        up = await self._running_slot(instance_id)

        def decide(record: Record | None) -> Transition:
            if record is None:
                raise absent(instance_id)
            free = record.instance.operation is None
            if up is not None and free and is_same_slot(record.slot, up):
                return _noted(record, InstanceStatus.RUNNING, cause, told)
            return _noted(record, status, cause, told)

        record = await self._fleet.change(instance_id, decide)
        return record or self._fleet.get(instance_id)

    async def _running_slot(self, instance_id: str) -> Slot | None:
        """What serves the instance, if it is seen to do so now."""
        record = self._fleet.get(instance_id)
        running = running_of(record)
        if running is None or not self._fleet.is_here(record):
            return None
        seen = await self._observer.observe(running)
        return record.slot if seen.health in (Health.HEALTHY, Health.DEGRADED) else None


def _noted(
    record: Record, status: InstanceStatus, cause: Cause, told: Mapping[str, str]
) -> Transition:
    changed = status.value != record.instance.status
    after = put(
        record,
        status=status.value,
        reason=None if changed else record.instance.reason,
        reported=_newest(record.reported, told),
    )
    done = transition(record, after, cause)
    if done.changes or after.reported == record.reported:
        return done
    same = {"old_status": status.value, "new_status": status.value}
    return Transition(after, (event_of(after, "StatusChanged", cause, same),))


def _newest(known: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    fresh = {REPORTED + key: text for key, text in told.items()}
    both = {key: text for key, text in known.items() if key not in fresh} | fresh
    return dict(list(both.items())[-MOST_REPORTED:])
