"""The settings that decisions depend on, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Defaults are the source document's (R-140) where it has one.

    `attempts` is D-04's total: max(1, MaxRetries). `free_repairs` is how many repairs within
    `backoff_reset_after` go undelayed before a fight between two writers is slowed down.
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
