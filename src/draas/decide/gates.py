"""The ordered reasons to wait or refuse; `explain` shows all of them, a pass acts on the first."""

from __future__ import annotations

from datetime import datetime

from draas.decide.rollout import rollout_gates
from draas.decide.rules import Rules
from draas.model.instance import InstanceState
from draas.model.reconciliation import Drift, DriftKind, Gate, Quarantine, Snapshot, Trigger
from draas.model.status import InstanceStatus

SLOTS = "two-slots"
STATE_LOSS = "state-loss"
BUDGET = "budget"
"""The gate that opens by itself as soon as an operation elsewhere has ended."""
NAMES = (
    "operation",
    "status",
    "quarantine",
    "validation",
    "fleet-quarantine",
    "rollout",
    "two-slots",
    "approval",
    "state-loss",
    "back-off",
    "breaker",
    BUDGET,
)
"""The gates in their order."""


def gates(
    snapshot: Snapshot,
    state: InstanceState,
    drift: Drift,
    target: str,
    trigger: Trigger,
    rules: Rules,
    now: datetime,
    approval: Gate,
    *,
    two_slots: bool,
    allow_state_loss: bool,
) -> tuple[Gate, ...]:
    """Every gate in order, passed or not. A person's call passes back-off and breaker, no other."""
    by_hand = trigger is Trigger.MANUAL
    return (
        _in_flight(state, rules, now),
        _status_rule(state, rules),
        _quarantine(snapshot, state, target),
        _validation(snapshot, state, target),
        *rollout_gates(snapshot.rollout, drift, rules, now, forward=target == state.desired_digest),
        _slots(snapshot, two_slots),
        approval,
        _state_loss(snapshot, two_slots, allow_state_loss),
        _backoff(snapshot, target, now, by_hand),
        _breaker(snapshot, drift, by_hand),
        _budget(snapshot),
    )


def held_quarantine(snapshot: Snapshot, state: InstanceState) -> Quarantine | None:
    """The quarantine of the desired digest, unless that is the last good one: nothing is better."""
    if snapshot.last_good_digest == state.desired_digest:
        return None
    return snapshot.memory.quarantine_of(state.desired_digest)


def _in_flight(state: InstanceState, rules: Rules, now: datetime) -> Gate:
    if state.operation is None:
        return Gate("operation", True)
    held = f"{state.operation.kind} by {state.operation.actor or 'somebody'} is under way"
    return Gate("operation", False, held, now + rules.transition_recheck)


def _status_rule(state: InstanceState, rules: Rules) -> Gate:
    status = InstanceStatus.parse_or_unknown(state.status)
    if status is InstanceStatus.ERROR and not rules.reconcile_error_instances:
        return Gate(
            "status", False, "the instance is in Error and ReconcileErrorInstances is false"
        )
    return Gate("status", True)


def _quarantine(snapshot: Snapshot, state: InstanceState, target: str) -> Gate:
    quarantine = held_quarantine(snapshot, state)
    if quarantine is None:
        return Gate("quarantine", True)
    if target != state.desired_digest:
        return Gate("quarantine", True, "the last good configuration is kept instead")
    reason = (
        f"the desired configuration failed ({quarantine.reason}); "
        "it is not tried again until it changes or is released"
    )
    return Gate("quarantine", False, reason)


def _validation(snapshot: Snapshot, state: InstanceState, target: str) -> Gate:
    if target != state.desired_digest or not snapshot.faults:
        return Gate("validation", True)
    return Gate("validation", False, "the desired configuration is invalid: " + snapshot.faults[0])


def _slots(snapshot: Snapshot, two_slots: bool) -> Gate:
    slots = snapshot.slots
    if not two_slots or slots is None or slots.possible:
        return Gate(SLOTS, True)
    return Gate(SLOTS, False, "two slots are not possible: " + "; ".join(slots.reasons))


def _state_loss(snapshot: Snapshot, two_slots: bool, allowed: bool) -> Gate:
    losses = snapshot.slots.losses if two_slots and snapshot.slots else []
    if not losses:
        return Gate(STATE_LOSS, True)
    named = "; ".join(
        f"query {each.query!r} would begin empty" + (f" ({each.reason})" if each.reason else "")
        for each in losses
    )
    if allowed:
        return Gate(STATE_LOSS, True, f"allowed: {named}")
    return Gate(STATE_LOSS, False, f"{named}; it needs consent (AllowStateLoss)")


def _backoff(snapshot: Snapshot, target: str, now: datetime, by_hand: bool) -> Gate:
    memory = snapshot.memory
    waiting = memory.not_before is not None and now < memory.not_before
    if memory.last_operation_at is not None and now < memory.last_operation_at:
        waiting = False  # The clock was set back: the times mean nothing.
    if by_hand or not waiting or memory.worked_digest != target:
        return Gate("back-off", True)
    why = f"{memory.failures} failed in a row" if memory.failures else f"{memory.repairs} repairs"
    return Gate("back-off", False, why, memory.not_before)


def _breaker(snapshot: Snapshot, drift: Drift, by_hand: bool) -> Gate:
    breaker = snapshot.breaker
    harmless = drift.kinds == (DriftKind.RUN_STATE,)
    if by_hand or harmless or breaker.open_since is None:
        return Gate("breaker", True)
    return Gate("breaker", False, breaker.reason)


def _budget(snapshot: Snapshot) -> Gate:
    budget = snapshot.budget
    if budget.taken < budget.limit:
        return Gate(BUDGET, True)
    return Gate(
        BUDGET,
        False,
        f"{budget.taken} instances are under work already and "
        f"MaxConcurrentReconciliations is {budget.limit}",
    )
