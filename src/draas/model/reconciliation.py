"""Nouns of a reconciliation: drift, operations, plans and what the daemon remembers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from draas.model.instance import InstanceState
from draas.model.operation import (
    Hand,
    Judgement,
    Operation,
    Outcome,
    Phase,
    Verdict,
    Watch,
    Wish,
)
from draas.model.slots import SlotPlan
from draas.model.triggers import DriftKind, Trigger

__all__ = [
    "Approval",
    "Breaker",
    "Budget",
    "Decision",
    "Drift",
    "DriftKind",
    "FleetView",
    "Gate",
    "Hand",
    "Judgement",
    "Memory",
    "Operation",
    "Outcome",
    "Phase",
    "Plan",
    "Quarantine",
    "RolloutView",
    "Snapshot",
    "Trigger",
    "Verdict",
    "Watch",
    "Wish",
]


@dataclass(frozen=True, slots=True)
class Drift:
    """What is wrong; `unknown` says why nothing can be said, and then `kinds` is empty (B-06)."""

    kinds: tuple[DriftKind, ...] = ()
    cause: str = ""
    unknown: str = ""

    def __bool__(self) -> bool:
        return bool(self.kinds)


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A desired digest that failed: not tried again until it changes or is released (D-11).

    `shared_digest` counts it over the fleet.
    """

    digest: str
    reason: str
    since: datetime
    operation_id: str
    shared_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a person decided about one plan: granted or not, by whom, until when it counts.

    `strategy` is how the approver wants it done; empty: as the settings say.
    """

    plan_digest: str
    granted: bool
    actor: str
    at: datetime
    until: datetime
    reason: str = ""
    strategy: str = ""
    allow_state_loss: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the daemon remembers of an instance between passes.

    `repairs` counts operations towards `worked_digest` since the instance was last left alone for
    long enough: it survives success, so that a fight between two writers slows down (B-47).
    `held_audited` is the gate and digest that the audit has already been told of; `approval` the
    last decision of a person, until something was done; `hand` what a person last asked of an
    operation under way;
    `worked_generation` the newest that was worked on: an older one is another instance;
    `worked_shared` what of it others may get as well, `previous…` what ran before it. The rest is
    for control planes that do not keep it: what this daemon last sent, the last document that
    proved good, and whether it was this daemon that stopped the instance.
    """

    instance_id: str
    repairs: int = 0
    last_operation_at: datetime | None = None
    not_before: datetime | None = None
    worked_digest: str | None = None
    worked_generation: int = 0
    worked_shared: str = ""
    previous_digest: str | None = None
    previous_generation: int | None = None
    failures: int = 0
    quarantines: tuple[Quarantine, ...] = ()
    held_audited: str = ""
    approval: Approval | None = None
    hand: Hand | None = None
    applied_digest: str | None = None
    applied_document: str | None = None
    good_document: str | None = None
    stopped_by_us: bool = False

    def quarantine_of(self, digest: str) -> Quarantine | None:
        """The quarantine that holds `digest`, if one does."""
        return next((held for held in self.quarantines if held.digest == digest), None)


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet as the breaker sees it: counts of instances."""

    total: int = 0
    drifting: int = 0
    failing: int = 0


@dataclass(frozen=True, slots=True)
class RolloutView:
    """How one configuration does over the fleet; no `digest`: nobody else is concerned.

    `busy` are under way or not proven yet, `failed` have it in quarantine, `reason` of one of them.
    Where instances are grouped, `busy` and `total` are those of `group`.
    """

    digest: str = ""
    group: str = ""
    busy: int = 0
    failed: int = 0
    total: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many instances may be disrupted at a time, and how many are (R-094)."""

    limit: int
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Breaker:
    """The fleet's brake: `open_since` is set while it holds all disruptive work (B-48)."""

    open_since: datetime | None = None
    reason: str = ""
    released_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A reason to wait or refuse, or that it passed; `until` is `None` for 'until told'."""

    name: str
    passed: bool
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a decision is made from, read at one time.

    `state` is `None` when it could not be read (`unknown` says why) or when it is gone (`gone`).
    `faults` are those of the desired configuration by the validation that the control plane shares.
    Where it matters for the strategy that is wanted, `changed_settings` names the settings of the
    server itself that differ, and `slots` says what a change by two slots would meet.
    """

    instance_id: str
    state: InstanceState | None
    memory: Memory
    unknown: str = ""
    gone: bool = False
    operation: Operation | None = None
    last_good_digest: str | None = None
    faults: tuple[str, ...] = ()
    changed_settings: tuple[str, ...] | None = None
    slots: SlotPlan | None = None
    rollout: RolloutView = field(default_factory=RolloutView)
    fleet: FleetView = field(default_factory=FleetView)
    breaker: Breaker = field(default_factory=Breaker)
    budget: Budget = field(default_factory=lambda: Budget(limit=1))


class Decision(StrEnum):
    """What a pass comes to."""

    IN_SYNC = "in-sync"
    UNKNOWN = "unknown"
    GONE = "gone"
    HELD = "held"
    ADOPT = "adopt"
    CLEAR = "clear"
    BEGIN = "begin"
    RESUME = "resume"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done now and why: one value, shown by dry run and explain.

    `target_digest` is the desired digest, or the last good one while the desired is in quarantine.
    `digest` is the plan's own, by which a person approves it; `approved_by` says who did.
    `by_choice` tells a strategy that somebody asked for from one that was found to be the best;
    `allow_state_loss` that queries may begin empty. An `exact` one brings just this.
    `next_look` is when to decide again without any news; `None`: at the next resync.
    """

    decision: Decision
    drift: Drift = Drift()
    gates: tuple[Gate, ...] = ()
    strategy: str = ""
    strategy_reason: str = ""
    by_choice: bool = True
    allow_state_loss: bool = False
    steps: tuple[str, ...] = ()
    target_digest: str = ""
    digest: str = ""
    approved_by: str = ""
    exact: bool = False
    restores_last_good: bool = False
    reason: str = ""
    next_look: datetime | None = None

    @property
    def blocked_by(self) -> Gate | None:
        """The first gate that did not pass."""
        return next((gate for gate in self.gates if not gate.passed), None)
