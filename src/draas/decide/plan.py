"""The decision of a pass: a snapshot and the time go in, a plan comes out, nothing else happens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from draas.decide.approval import MANUAL, agreed, approval_gate, plan_digest
from draas.decide.detect import CHANGED, detect
from draas.decide.gates import gates, held_quarantine
from draas.decide.hand import is_new
from draas.decide.rollout import goes_back
from draas.decide.rules import Rules
from draas.decide.strategies import AUTO, chosen
from draas.model.instance import InstanceState
from draas.model.reconciliation import (
    Approval,
    Decision,
    Drift,
    DriftKind,
    Gate,
    Operation,
    Plan,
    Snapshot,
    Trigger,
)
from draas.model.status import InstanceStatus, RunState


def plan(
    snapshot: Snapshot,
    rules: Rules,
    now: datetime,
    trigger: Trigger = Trigger.CHANGE,
    strategy: str | None = None,
    *,
    allow_state_loss: bool = False,
) -> Plan:
    """What to do about an instance now. Total: every snapshot has a plan; see `Decision`.

    An operation that a crash left open goes first: between stop and start nothing gives up (B-58).
    """
    if snapshot.gone:
        return Plan(decision=Decision.GONE, reason="the instance is gone")
    if snapshot.operation is not None:
        return _carry_on(snapshot, snapshot.operation, now)
    state = snapshot.state
    if state is None:
        return _unknown(Drift(unknown=snapshot.unknown), rules, now)
    if state.second_slot is not None and state.status == InstanceStatus.RUNNING:
        reason = f"its {state.second_slot} slot belongs to no operation"
        return Plan(decision=Decision.CLEAR, reason=reason)
    if _applied_is_unknowable(state):
        if rules.adopt_unknown:
            return Plan(decision=Decision.ADOPT, reason="it runs, and nobody knows with what")
        drift = Drift((DriftKind.CONFIGURATION,), cause="nobody knows what it runs with")
        wish = _Wish(trigger, strategy, allow_state_loss)
        return _act_or_hold(snapshot, state, drift, state.desired_digest, rules, now, wish)
    target = _target(snapshot, state)
    drift = _explained(detect(state, target), snapshot, state)
    memory, view = snapshot.memory, snapshot.rollout
    runs = state.status == InstanceStatus.RUNNING and not drift  # well or not known to be
    if runs and goes_back(memory, state.applied_digest, view, rules, now):
        return _with_its_wave(snapshot, state, rules, now)
    if drift.unknown:
        return _unknown(drift, rules, now)
    if not drift:
        return _settled(snapshot, state, target, rules)
    wish = _Wish(trigger, strategy, allow_state_loss)
    return _act_or_hold(snapshot, state, drift, target, rules, now, wish)


def _with_its_wave(snapshot: Snapshot, state: InstanceState, rules: Rules, now: datetime) -> Plan:
    """Back to what ran before: the roll-out is stopped, and this instance is not proven yet."""
    view, target = snapshot.rollout, snapshot.memory.previous_digest or ""
    cause = f"its roll-out is stopped: it failed on {view.failed} instances ({view.reason})"
    drift = Drift((DriftKind.CONFIGURATION,), cause=cause)
    wish = _Wish(Trigger.CHANGE, None, False)
    back = _act_or_hold(snapshot, state, drift, target, rules, now, wish)
    return replace(back, exact=True, restores_last_good=False)


def wanted_strategy(approval: Approval | None, rules: Rules, strategy: str | None = None) -> str:
    """The strategy of an order, else of the settings; behind Manual the one that was agreed to."""
    wanted = strategy or rules.strategy
    if wanted != MANUAL:
        return wanted
    agreed_to = approval.strategy if approval is not None and approval.granted else ""
    return agreed_to or rules.approved_strategy


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a person or a trigger asks for."""

    trigger: Trigger
    strategy: str | None
    allow_state_loss: bool


def _carry_on(snapshot: Snapshot, operation: Operation, now: datetime) -> Plan:
    waits = _waits(snapshot, operation, now)
    reason = f"operation {operation.id} stands at {operation.phase.value}"
    if operation.paused:
        reason += f", {operation.paused}"
    if operation.inconclusive:
        reason += f"; it cannot be judged: {operation.inconclusive}"
    return Plan(
        decision=Decision.WAITING if waits else Decision.RESUME,
        drift=Drift(operation.kinds, cause=operation.cause),
        strategy=operation.strategy,
        steps=operation.steps,
        target_digest=operation.target_digest,
        reason=reason,
        next_look=operation.wake_at if waits else None,
    )


def _waits(snapshot: Snapshot, operation: Operation, now: datetime) -> bool:
    """Whether it is too early.

    A newer configuration does not wait for the retry of an older, and neither does a person.
    """
    if operation.wake_at is None or now >= operation.wake_at:
        return False
    if now < operation.phase_since:
        return False  # The clock was set back: the times mean nothing.
    if is_new(snapshot.memory.hand, operation):
        return False
    state, retries = snapshot.state, operation.attempt > 1
    newer = state is not None and state.desired_digest != operation.target_digest
    return not (retries and newer)


def _applied_is_unknowable(state: InstanceState) -> bool:
    return state.status == InstanceStatus.RUNNING and state.applied_digest is None


def _target(snapshot: Snapshot, state: InstanceState) -> str:
    """The desired digest, or the last good one while the desired is in quarantine."""
    if held_quarantine(snapshot, state) is None:
        return state.desired_digest
    return snapshot.last_good_digest or state.desired_digest


def _explained(drift: Drift, snapshot: Snapshot, state: InstanceState) -> Drift:
    """The drift; its cause says so where it is from the last good configuration."""
    quarantine = held_quarantine(snapshot, state)
    if not drift or quarantine is None or snapshot.last_good_digest is None:
        return drift
    found = [each for each in drift.cause.split("; ") if each != CHANGED]
    back = f"back to the last good configuration, as the desired one failed ({quarantine.reason})"
    return replace(drift, cause="; ".join([*found, back]))


def _unknown(drift: Drift, rules: Rules, now: datetime) -> Plan:
    return Plan(
        decision=Decision.UNKNOWN,
        drift=drift,
        reason=drift.unknown,
        next_look=now + rules.transition_recheck,
    )


def _settled(snapshot: Snapshot, state: InstanceState, target: str, rules: Rules) -> Plan:
    if state.desired_run_state == RunState.STOPPED and state.status != InstanceStatus.RUNNING:
        after = "; its configuration is applied on its next start"
        ready = after if rules.reconcile_stopped_instances and not snapshot.faults else ""
        never = state.status == InstanceStatus.CREATED
        why = "it was never started" if never else "stopped by its user"
        return Plan(decision=Decision.IN_SYNC, reason=why + ready)
    if target != state.desired_digest:
        quarantine = held_quarantine(snapshot, state)
        why = quarantine.reason if quarantine else ""
        reason = f"the desired configuration failed ({why}); the last good one runs instead"
        return Plan(
            decision=Decision.HELD,
            drift=Drift((DriftKind.CONFIGURATION,), cause=CHANGED),
            gates=(Gate("quarantine", False, reason),),
            target_digest=target,
            reason=reason,
        )
    return Plan(decision=Decision.IN_SYNC, target_digest=target)


def _act_or_hold(
    snapshot: Snapshot,
    state: InstanceState,
    drift: Drift,
    target: str,
    rules: Rules,
    now: datetime,
    wish: _Wish,
) -> Plan:
    digest = plan_digest(state, drift, target)
    approval = agreed(snapshot, digest, now)
    needs_approval = MANUAL in (wish.strategy, rules.strategy)
    wanted = wanted_strategy(approval, rules, wish.strategy)
    use, why = chosen(wanted, snapshot, state, drift, target, rules)
    may_lose = (
        rules.allow_state_loss
        or wish.allow_state_loss
        or (approval is not None and approval.allow_state_loss)
    )
    passed = gates(
        snapshot,
        state,
        drift,
        target,
        wish.trigger,
        rules,
        now,
        approval_gate(snapshot, needs_approval, digest, now),
        two_slots=use.two_slots,
        allow_state_loss=may_lose,
    )
    blocked = next((gate for gate in passed if not gate.passed), None)
    return Plan(
        decision=Decision.HELD if blocked else Decision.BEGIN,
        drift=drift,
        gates=passed,
        strategy=use.name,
        strategy_reason=why,
        by_choice=wanted != AUTO,
        allow_state_loss=may_lose,
        steps=use.steps(state, target, rules),
        target_digest=target,
        digest=digest,
        approved_by=approval.actor if approval and needs_approval else "",
        restores_last_good=target != state.desired_digest,
        reason=blocked.reason if blocked else drift.cause,
        next_look=blocked.until if blocked else None,
    )
