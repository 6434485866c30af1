"""What makes the daemon act: the ways in which an instance drifts, and what makes it look."""

from __future__ import annotations

from enum import StrEnum


class DriftKind(StrEnum):
    """In which way an instance is not as it should be."""

    CONFIGURATION = "configuration"
    OBSERVED = "observed"
    RUN_STATE = "run-state"
    HEALTH = "health"


class Trigger(StrEnum):
    """What made the daemon look."""

    CHANGE = "change"
    RESYNC = "resync"
    RETRY = "retry"
    MANUAL = "manual"
    RESUME = "resume"
