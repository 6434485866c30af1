"""What was finished since the last cycle's summary line (R-091, B-112)."""

from __future__ import annotations


class CycleCounts:
    """Counts finished reconciliations between two summaries."""

    def __init__(self) -> None:
        self._reconciled = 0
        self._failed = 0

    def finished(self, *, succeeded: bool) -> None:
        """One more is finished."""
        if succeeded:
            self._reconciled += 1
        else:
            self._failed += 1

    def take(self) -> tuple[int, int]:
        """The numbers of reconciled and failed ones, which begin again at zero."""
        counts = (self._reconciled, self._failed)
        self._reconciled = self._failed = 0
        return counts
