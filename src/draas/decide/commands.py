"""What a strategy may ask the daemon to do, and what it is told about how that went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Check:
    """See that the instance exists and how healthy it is, before anything happens."""


@dataclass(frozen=True, slots=True)
class Stop:
    """See that nothing runs; the user's wish stays as it is."""


@dataclass(frozen=True, slots=True)
class Start:
    """See that the target configuration runs; a newer desired one supersedes it."""


@dataclass(frozen=True, slots=True)
class Apply:
    """See that the running server is changed in place to the target configuration."""


@dataclass(frozen=True, slots=True)
class Restore:
    """See that the last good configuration runs."""


@dataclass(frozen=True, slots=True)
class Verify:
    """See whether it is healthy and runs what it should."""

    restored: bool = False


Command = Check | Stop | Start | Apply | Restore | Verify


class ErrorClass(StrEnum):
    """What kind of failure it was decides what comes next (B-60).

    A verification is NOT_YET while something is wrong that may still come right, and INCONCLUSIVE
    while nobody can tell: that is neither a pass nor a failure.
    """

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNREACHABLE = "unreachable"
    GONE = "gone"
    SUPERSEDED = "superseded"
    NOT_YET = "not-yet"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command went.

    `changed` tells a stop that ended something from one that found nothing running. `digest` and
    `generation` say what was started, or what supersedes the target; superseded without a digest
    means that nothing is to be done any more. `retry_after` is the other side's wish, in seconds.
    """

    error: str = ""
    error_class: ErrorClass | None = None
    changed: bool = True
    health: str = "Unknown"
    running: bool = False
    digest: str | None = None
    generation: int | None = None
    has_last_good: bool = True
    retry_after: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the command did what it was asked."""
        return self.error_class is None
