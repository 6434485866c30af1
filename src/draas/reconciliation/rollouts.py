"""How far each shared configuration has come over the fleet, as this daemon and the others know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from draas.model.clock import Clock
from draas.model.reconciliation import Memory, Operation, RolloutView

LONGEST_REASON = 200


class Changed:
    """By shared digest, which instances were changed to it lately and on which it failed."""

    def __init__(self) -> None:
        self._fresh: dict[str, dict[str, datetime]] = {}
        self._failed: dict[str, dict[str, str]] = {}

    def remember(self, memory: Memory) -> None:
        """Take a newer memory."""
        self.forget(memory.instance_id)
        at = memory.last_operation_at
        if memory.worked_shared and memory.failures == 0 and at is not None:
            self._fresh.setdefault(memory.worked_shared, {})[memory.instance_id] = at
        for held in memory.quarantines:
            if held.shared_digest:
                self._failed.setdefault(held.shared_digest, {})[memory.instance_id] = held.reason

    def forget(self, instance_id: str) -> None:
        """It is gone, or others know better."""
        for known in (self._fresh, self._failed):
            for digest in [digest for digest, found in known.items() if instance_id in found]:
                del known[digest][instance_id]
                if not known[digest]:
                    del known[digest]

    def failed(self, digest: str) -> Mapping[str, str]:
        """The instances on which it failed, with the reasons."""
        return self._failed.get(digest, {})

    def fresh(self, digest: str, since: datetime) -> list[str]:
        """Those that were changed to it after a time; the others are forgotten."""
        found = self._fresh.get(digest, {})
        for instance_id in [name for name, at in found.items() if at <= since]:
            del found[instance_id]
        if not found:
            self._fresh.pop(digest, None)
        return sorted(found)

    @property
    def digests(self) -> set[str]:
        """All that anything is known of."""
        return self._fresh.keys() | self._failed.keys()


class Rollouts:
    """Counts by shared digest: who is under way, not proven yet, or has failed.

    `under_way` are the open operations, `told` is what the other daemons tell, `group` that of an
    instance and `size` how many are in it; without groups all are in the one without a name. What
    others tell may be two seconds old: over several daemons a limit is kept as far as that goes.
    """

    def __init__(
        self,
        changed: Changed,
        clock: Clock,
        healthy_time: timedelta,
        *,
        under_way: Callable[[], Iterable[Operation]],
        told: Callable[[], Iterable[Mapping[str, Any]]],
        group: Callable[[str], str],
        size: Callable[[str], int],
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._healthy_time = healthy_time
        self._under_way, self._told = under_way, told
        self._group, self._size = group, size
        self._beginning: dict[str, str] = {}

    def begin(self, instance_id: str, digest: str) -> None:
        """It is about to be under way; until `begun` this counts."""
        if digest:
            self._beginning[instance_id] = digest

    def begun(self, instance_id: str) -> None:
        """Its operation is stored, or came to nothing."""
        self._beginning.pop(instance_id, None)

    def view(self, digest: str, group: str = "") -> RolloutView:
        """How a configuration does, in a group and over the fleet; nothing without a digest."""
        if not digest:
            return RolloutView()
        told = [each["rollouts"][digest] for each in self._told() if digest in _rollouts(each)]
        failed = self._changed.failed(digest)
        busy = self._busy(digest)[group] + sum(each["busy"].get(group, 0) for each in told)
        reasons = [*failed.values(), *(each["reason"] for each in told if each["reason"])]
        return RolloutView(
            digest=digest,
            group=group,
            busy=busy,
            failed=len(failed) + sum(each["failed"] for each in told),
            total=self._size(group),
            reason=reasons[0] if reasons else "",
        )

    def tell(self) -> dict[str, Any]:
        """What the other daemons are to know."""
        told = {}
        for digest in self.digests:
            failed, busy = self._changed.failed(digest), self._busy(digest)
            if busy or failed:
                reason = next(iter(failed.values()), "")[:LONGEST_REASON]
                told[digest] = {"busy": busy, "failed": len(failed), "reason": reason}
        return told

    @property
    def digests(self) -> set[str]:
        """Those that are under way here, or were, or failed."""
        under_way = {each.shared_digest for each in self._under_way()}
        return (under_way | set(self._beginning.values()) | self._changed.digests) - {""}

    def groups(self, digest: str) -> list[str]:
        """The groups in which something is under way, by what all daemons know."""
        told = [_rollouts(each).get(digest, {"busy": {}})["busy"] for each in self._told()]
        return sorted({*self._busy(digest), *(group for each in told for group in each)})

    def waves(self) -> Iterator[tuple[str, list[str]]]:
        """Each configuration with those that were changed to it and are not proven yet."""
        for digest in self._changed.digests:
            if found := self._fresh(digest):
                yield digest, found

    def failed(self, digest: str) -> list[str]:
        """The instances on which it failed, as far as they are this daemon's."""
        return sorted(self._changed.failed(digest))

    def _busy(self, digest: str) -> Counter[str]:
        open_now = {each.instance_id for each in self._under_way() if each.shared_digest == digest}
        beginning = {name for name, wanted in self._beginning.items() if wanted == digest}
        return Counter(map(self._group, open_now | beginning | set(self._fresh(digest))))

    def _fresh(self, digest: str) -> list[str]:
        return self._changed.fresh(digest, self._clock.now() - self._healthy_time)


def _rollouts(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found = told.get("rollouts", {})
    return found if isinstance(found, Mapping) else {}
