"""Quantiles of a histogram of cumulative buckets, as Prometheus computes them."""

from __future__ import annotations

from collections.abc import Sequence

Buckets = Sequence[tuple[float | None, int]]
"""Upper bounds in ms with how many took no longer; `None` is the last, without a bound."""


def quantile(buckets: Buckets, share: float) -> float | None:
    """The time in ms that `share` of the requests did not exceed; `None` of nothing.

    Within a bucket it is interpolated; beyond the last bound, that bound is the answer.
    """
    total = buckets[-1][1] if buckets else 0
    if total <= 0:
        return None
    rank, lower, below = share * total, 0.0, 0
    for bound, count in buckets:
        if bound is None:
            return lower
        if count >= rank:
            return lower + (bound - lower) * (rank - below) / max(count - below, 1)
        lower, below = bound, count
    return lower


def since(now: Buckets, before: Buckets) -> list[tuple[float | None, int]]:
    """The histogram of what came after `before`; buckets that were not there before began empty."""
    known, reached = dict(before), 0
    fresh = []
    for bound, count in now:
        reached = known.get(bound, reached)
        fresh.append((bound, max(count - reached, 0)))
    return fresh
