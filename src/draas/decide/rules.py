"""The settings that decisions depend on, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from draas.decide.analysis import AnalysisRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Defaults are the source document's (R-140) where it has one.

    `attempts` is D-04's total: max(1, MaxRetries). `free_repairs` is how many repairs within
    `backoff_reset_after` go undelayed before a fight between two writers is slowed down. A
    restarted or changed server must be healthy for `stabilization_period` on end, a candidate
    beside another for `minimum_healthy_time`; `health_failure_threshold` bad looks in a row condemn
    what was good.
    """

    strategy: str = "Restart"
    approved_strategy: str = "Restart"
    attempts: int = 3
    retry_delay: timedelta = timedelta(seconds=10)
    restart_delay: timedelta = timedelta(seconds=2)
    health_timeout: timedelta = timedelta(seconds=30)
    reconciliation_timeout: timedelta = timedelta(minutes=5)
    backoff_maximum: timedelta = timedelta(minutes=15)
    backoff_reset_after: timedelta = timedelta(minutes=10)
    free_repairs: int = 5
    reconcile_error_instances: bool = True
    reconcile_stopped_instances: bool = False
    adopt_unknown: bool = True
    transition_recheck: timedelta = timedelta(seconds=2)
    stabilization_period: timedelta = timedelta()
    minimum_healthy_time: timedelta = timedelta(seconds=5)
    health_failure_threshold: int = 3
    canary_steps: tuple[int, ...] = (5, 25, 50, 100)
    soak_time: timedelta = timedelta(minutes=5)
    drain_time: timedelta = timedelta(seconds=30)
    allow_state_loss: bool = False
    fleet_threshold: int = 2
    max_unavailable: str = ""
    max_failures: int = 1
    rollout_healthy_time: timedelta = timedelta(seconds=10)
    analysis: AnalysisRules = field(default_factory=AnalysisRules)
