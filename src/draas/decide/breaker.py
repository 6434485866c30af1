"""The fleet's breaker: a wave of failures or of changes stops all disruptive work (B-48)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from draas.model.reconciliation import Breaker, FleetView


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Shares are of the whole fleet, in [0, 1]; below the minimum counts nothing trips."""

    enabled: bool
    max_failing_share: float
    minimum_failing: int
    max_drifting_share: float
    minimum_instances: int
    hold_time: timedelta


def next_breaker(breaker: Breaker, fleet: FleetView, rules: BreakerRules, now: datetime) -> Breaker:
    """The breaker after a look at the fleet.

    It opens on a trip, closes by itself once the hold time is over and nothing trips any more, and
    stays closed for a hold time after a person released it. A clock that was set back begins the
    hold time again.
    """
    if breaker.released_until is not None and now >= breaker.released_until:
        breaker = replace(breaker, released_until=None)
    if breaker.open_since is not None and breaker.open_since > now:
        breaker = replace(breaker, open_since=now)
    reason = _trip(fleet, rules) if rules.enabled and breaker.released_until is None else ""
    if reason:
        return replace(breaker, open_since=breaker.open_since or now, reason=reason)
    if breaker.open_since is not None and now < breaker.open_since + rules.hold_time:
        return breaker
    return replace(breaker, open_since=None, reason="")


def released(now: datetime, rules: BreakerRules) -> Breaker:
    """The breaker after a person let the work go on."""
    return Breaker(released_until=now + rules.hold_time)


def _trip(fleet: FleetView, rules: BreakerRules) -> str:
    if not fleet.total:
        return ""
    failing = fleet.failing / fleet.total
    if fleet.failing >= rules.minimum_failing and failing > rules.max_failing_share:
        return (
            f"{fleet.failing} of {fleet.total} instances are failing "
            f"(limit {rules.max_failing_share:.0%})"
        )
    drifting = fleet.drifting / fleet.total
    if fleet.total >= rules.minimum_instances and drifting > rules.max_drifting_share:
        return (
            f"{fleet.drifting} of {fleet.total} running instances would be changed at once "
            f"(limit {rules.max_drifting_share:.0%})"
        )
    return ""
