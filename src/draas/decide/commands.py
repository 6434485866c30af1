"""What a strategy may ask the daemon to do, and what it is told about how that went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from draas.model.operation import HealthCheck
from draas.model.slots import Parity, Traffic


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


@dataclass(frozen=True, slots=True)
class Open:
    """See that a candidate with the target configuration runs beside the serving slot."""


@dataclass(frozen=True, slots=True)
class Prove:
    """Look whether the candidate is healthy, runs its target and, if asked, gives the same rows."""

    compare: bool = True


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """Make the smoke tests against the candidate alone."""


@dataclass(frozen=True, slots=True)
class Shift:
    """See that the candidate gets `percent` of the traffic, and the serving slot the rest."""

    percent: int


@dataclass(frozen=True, slots=True)
class Analyse:
    """Look how the slot with the target does beside the other one, and, if asked, at the rows."""

    compare: bool = True


@dataclass(frozen=True, slots=True)
class Switch:
    """See that the slot with the target serves; the other one is kept as the way back."""


@dataclass(frozen=True, slots=True)
class TakeBack:
    """See that the slot that served at the beginning has all traffic, and leads."""


@dataclass(frozen=True, slots=True)
class Close:
    """See that a slot that does not serve is gone: the candidate, or else the retired one.

    What it still answers is waited for, at most `drain_seconds`.
    """

    candidate: bool = False
    drain_seconds: float = 0.0


Command = (
    Check
    | Stop
    | Start
    | Apply
    | Restore
    | Verify
    | Open
    | Prove
    | SmokeTest
    | Shift
    | Analyse
    | Switch
    | TakeBack
    | Close
)


class ErrorClass(StrEnum):
    """What kind of failure it was decides what comes next (B-60).

    A verification is NOT_YET while something is wrong that may still come right, and INCONCLUSIVE
    while nobody can tell: that is neither a pass nor a failure. IMPOSSIBLE is what cannot be done
    in this way, whatever the configuration; LOST a candidate that is not there any more, ALTERED
    one that runs other components than it was started with, and DOWN an instance of which nothing
    serves. ABORTED: a person wants it taken back.
    """

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNREACHABLE = "unreachable"
    GONE = "gone"
    SUPERSEDED = "superseded"
    NOT_YET = "not-yet"
    INCONCLUSIVE = "inconclusive"
    IMPOSSIBLE = "impossible"
    LOST = "lost"
    ALTERED = "altered"
    DOWN = "down"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a command went.

    `changed` tells a stop that ended something from one that found nothing running. `digest` and
    `generation` say what was started, or what supersedes the target; superseded without a digest
    means that nothing is to be done any more. `retry_after` is the other side's wish, in seconds.
    `slot` and `served_by` are the candidate and the slot beside which it was opened; `checks`,
    `traffic` and `parity` are what a look at them saw.
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
    slot: str = ""
    served_by: str = ""
    checks: tuple[HealthCheck, ...] = ()
    traffic: Traffic | None = None
    parity: Parity | None = None

    @property
    def ok(self) -> bool:
        """Whether the command did what it was asked."""
        return self.error_class is None
