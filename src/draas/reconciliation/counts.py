"""What was finished since the last cycle's summary line (R-091, B-112)."""

from __future__ import annotations

from typing import NamedTuple


class Finished(NamedTuple):
    """How many operations ended well and how many did not, and on which instances."""

    reconciled: int
    failed: int
    instances: frozenset[str]


class CycleCounts:
    """Counts finished reconciliations between two summaries."""

    def __init__(self) -> None:
        self._reconciled = 0
        self._failed = 0
        self._instances: set[str] = set()

    def finished(self, instance_id: str, *, succeeded: bool) -> None:
        """One more is finished."""
        self._instances.add(instance_id)
        if succeeded:
            self._reconciled += 1
        else:
            self._failed += 1

    def take(self) -> Finished:
        """What was finished; the counts begin again at zero."""
        finished = Finished(self._reconciled, self._failed, frozenset(self._instances))
        self._reconciled = self._failed = 0
        self._instances.clear()
        return finished
