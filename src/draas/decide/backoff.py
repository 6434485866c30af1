"""How long to leave an instance alone after it was worked on."""

from __future__ import annotations

from datetime import timedelta

DOUBLINGS = 40


def delay(failures: int, base: timedelta, maximum: timedelta, jitter: float) -> timedelta:
    """Exponential back-off: base, 2 × base, 4 × base … up to `maximum`, less up to a quarter.

    `failures` counts from 1; `jitter` is in [0, 1) and spreads instances that failed together.

    >>> delay(3, timedelta(seconds=10), timedelta(minutes=15), 0.0)
    datetime.timedelta(seconds=40)
    """
    if failures < 1:
        return timedelta()
    grown = min(base, maximum)
    for _ in range(min(failures - 1, DOUBLINGS)):  # as a power it could be beyond all time spans
        grown = min(2 * grown, maximum)
    return grown * (1 - jitter / 4)
