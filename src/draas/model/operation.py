"""An operation: one reconciliation of one instance, a row that a crash leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from draas.model.slots import Counters, Traffic
from draas.model.triggers import DriftKind, Trigger


class Phase(StrEnum):
    """Where an operation stands. Names are stored: one may be added, none may change meaning."""

    CHECKING = "checking"
    APPLYING = "applying"
    STOPPING = "stopping"
    STARTING = "starting"
    VERIFYING = "verifying"
    RESTORING = "restoring"
    VERIFYING_RESTORED = "verifying-restored"
    OPENING = "opening"
    PROVING = "proving"
    TESTING = "testing"
    SHIFTING = "shifting"
    ANALYSING = "analysing"
    SWITCHING = "switching"
    SOAKING = "soaking"
    CLOSING = "closing"
    TAKING_BACK = "taking-back"
    CLOSING_CANDIDATE = "closing-candidate"
    FINISHED = "finished"


class Outcome(StrEnum):
    """How an operation ended."""

    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    SUPERSEDED = "superseded"


class Verdict(StrEnum):
    """What a comparison comes to; nobody knows is neither a pass nor a failure."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Wish(StrEnum):
    """What a person may ask of an operation under way."""

    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What a person asked of an operation: obeyed once, at its next step."""

    operation_id: str
    wish: Wish
    actor: str
    at: datetime
    reason: str = ""

    def __str__(self) -> str:
        done = {"promote": "promoted", "pause": "paused", "resume": "resumed", "abort": "aborted"}
        return f"{done[self.wish]} by {self.actor}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the last look at a candidate came to, for people to read."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    samples: int = 0
    baseline_samples: int = 0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One check of a running copy: passed, failed, or `None` where nobody can tell, and why."""

    name: str
    passed: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """What was seen of a candidate since its step began: a crash may forget it, and costs time.

    `good_since` is when the unbroken row of good looks began, `bad_looks` how long the row of bad
    ones is. `seen` are the counters at the last look, `samples` those of the candidate, and
    `grew_at` when they last became more. `evidence` is what the sequential test has gathered,
    `checks` and `judgement` are what the last look came to; since `compared_at` the rows of both
    slots count as the same.
    """

    good_since: datetime | None = None
    bad_looks: int = 0
    seen: Traffic | None = None
    samples: int = 0
    grew_at: datetime | None = None
    evidence: float = 0.0
    checks: tuple[HealthCheck, ...] = ()
    judgement: Judgement | None = None
    compared_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One reconciliation of one instance by one strategy: a row that a crash leaves behind.

    `target_digest` is the configuration that it brings; `fence` is that of who works on it;
    `attempt` counts from 1 (D-04); `steps` is the plan in words; `fell_back` says why another
    strategy than the one it began with carries it on; `differences` and `summary` are masked
    already; `shared_digest` is that of what other instances may be brought to as well. One that is
    `approved` brings its target and nothing newer. Until `wake_at` there is nothing to do.
    `inconclusive` says why a verification whose time is over cannot be judged: the operation is
    then held as it stands until it can be.

    By two slots: `slot` is the candidate's name, `served_by` that of the one that served at the
    beginning. `round` counts the targets that were replaced, `step` the steps that are passed;
    `baseline` are the counters at the beginning of this one, and `reference` is how the serving
    slot did when it last had traffic. `by_choice` says that nothing but this strategy will do.
    `renewed` marks a candidate that is taken away for a newer target. What a person asked for:
    `obeyed` until when, `paused` and `aborted` by whom, and `promoted` the step under way.
    """

    id: str
    instance_id: str
    strategy: str
    phase: Phase
    trigger: Trigger
    actor: str
    cause: str
    kinds: tuple[DriftKind, ...]
    target_digest: str
    target_generation: int | None
    shared_digest: str = ""
    previous_digest: str | None
    previous_generation: int | None = None
    approved: bool = False
    by_choice: bool = True
    allow_state_loss: bool = False
    started_at: datetime
    deadline: datetime
    phase_since: datetime
    fence: int = 0
    attempt: int = 1
    wake_at: datetime | None = None
    inconclusive: str = ""
    fell_back: str = ""
    steps: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    differences: tuple[dict[str, object], ...] = ()
    health_before: str = "Unknown"
    error: str = ""
    permanent: bool = False
    outcome: Outcome | None = None
    round: int = 0
    slot: str = ""
    served_by: str = ""
    step: int = 0
    baseline: Traffic | None = None
    reference: Counters | None = None
    renewed: bool = False
    obeyed: datetime | None = None
    paused: str = ""
    promoted: bool = False
    aborted: str = ""
    watch: Watch = field(default_factory=Watch)
