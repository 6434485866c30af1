"""How long to leave an instance alone after it was worked on."""

from __future__ import annotations

from datetime import timedelta


def delay(failures: int, base: timedelta, maximum: timedelta, jitter: float) -> timedelta:
    """Exponential back-off: base, 2 × base, 4 × base … up to `maximum`, less up to a quarter.

    `failures` counts from 1; `jitter` is in [0, 1) and spreads instances that failed together.

    >>> delay(3, timedelta(seconds=10), timedelta(minutes=15), 0.0)
    datetime.timedelta(seconds=40)
    """
    if failures < 1:
        return timedelta()
    doubled: int = 2 ** min(failures - 1, 40)
    grown = min(base * doubled, maximum)
    return grown * (1 - jitter / 4)
