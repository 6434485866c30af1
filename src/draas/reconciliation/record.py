"""Audit entries of what was done and decided: actions and changes of state only (D-12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from draas.decide.compare import Comparison
from draas.model.audit import AuditEntry
from draas.model.clock import timestamp
from draas.model.instance import InstanceState
from draas.model.reconciliation import (
    Drift,
    Hand,
    Memory,
    Operation,
    Outcome,
    Plan,
    Trigger,
)
from draas.model.status import Health
from draas.reconciliation.explain import as_records

NO_DRIFT = Drift()


def began(operation: Operation, now: datetime) -> AuditEntry:
    """The entry of an operation that begins: what is wrong and what will be done about it."""
    return _entry(
        operation,
        now,
        action=f"Reconciling using {operation.strategy} strategy",
        outcome="started",
    )


def inconclusive(operation: Operation, now: datetime) -> AuditEntry:
    """The entry of a verification whose time is over and that nobody can judge: it is held."""
    return _entry(
        operation,
        now,
        action=f"Held while its verification cannot be judged: {operation.inconclusive}",
        outcome="held",
    )


def in_hand(operation: Operation, hand: Hand, now: datetime) -> AuditEntry:
    """The entry of what a person asked of an operation under way."""
    asked = f"{operation.strategy} at {operation.phase.value} is to be {hand}"
    return replace(_entry(operation, now, action=asked, outcome=hand.wish.value), actor=hand.actor)


def finished(operation: Operation, memory: Memory, now: datetime) -> AuditEntry:
    """The entry of an operation that ended; R-120's texts."""
    quarantine = memory.quarantine_of(operation.target_digest)
    if quarantine is not None and not operation.error:
        operation = replace(operation, error=quarantine.reason)  # it came up and ended again
    return _entry(
        operation,
        now,
        action=_action(operation),
        outcome=operation.outcome.value if operation.outcome else "",
        quarantined=quarantine.digest if quarantine else None,
        health_after=_health_after(operation, memory),
        ended=True,
    )


def detailed(entry: AuditEntry, plan: Plan, found: Comparison) -> AuditEntry:
    """The entry with all that a person needs to decide on the plan (R-080)."""
    return replace(
        entry,
        summary=found.summary,
        differences=as_records(found),
        strategy=plan.strategy,
        plan=(f"plan {plan.digest}", *plan.steps),
    )


def _action(operation: Operation) -> str:
    using = f"using {operation.strategy} strategy"
    if operation.fell_back:
        using += f", because {operation.fell_back}"
    match operation.outcome:
        case Outcome.SUCCEEDED:
            return f"Reconciled {using}"
        case Outcome.ROLLED_BACK if operation.served_by:
            return f"Failed to reconcile {using}: {operation.error}; the old slot serves on"
        case Outcome.ROLLED_BACK:
            return (
                f"Failed to reconcile {using}: {operation.error}; "
                "the last good configuration was brought back"
            )
        case Outcome.SUPERSEDED:
            return f"Superseded {using}: {operation.error}"
        case _:
            return f"Failed to reconcile {using}: {operation.error}"


def _entry(
    operation: Operation,
    now: datetime,
    *,
    action: str,
    outcome: str,
    quarantined: str | None = None,
    health_after: str = "",
    ended: bool = False,
) -> AuditEntry:
    return AuditEntry(
        instance_id=operation.instance_id,
        timestamp=timestamp(now),
        action=action,
        outcome=outcome,
        drift_detected=True,
        drift_kinds=tuple(kind.value for kind in operation.kinds),
        cause=operation.cause,
        summary=operation.summary,
        differences=operation.differences,
        strategy=operation.strategy,
        plan=operation.steps,
        trigger=operation.trigger.value,
        actor=operation.actor,
        attempts=operation.attempt,
        duration_seconds=(now - operation.started_at).total_seconds() if ended else None,
        error=operation.error,
        digest_before=operation.previous_digest,
        digest_after=operation.target_digest,
        generation=operation.target_generation,
        health_before=operation.health_before,
        health_after=health_after,
        quarantined_digest=quarantined,
        operation_id=operation.id,
    )


def _health_after(operation: Operation, memory: Memory) -> str:
    """What the verification saw; a control plane that keeps no applied digest tells no health."""
    verified = operation.outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
    is_told = memory.applied_digest is None
    return (Health.HEALTHY if verified and is_told else Health.UNKNOWN).value


def noted(
    instance_id: str,
    now: datetime,
    *,
    action: str,
    outcome: str,
    trigger: Trigger,
    actor: str,
    drift: Drift = NO_DRIFT,
    state: InstanceState | None = None,
) -> AuditEntry:
    """The entry of a change of state that is no operation: held, adopted, released, gone."""
    return AuditEntry(
        instance_id=instance_id,
        timestamp=timestamp(now),
        action=action,
        outcome=outcome,
        drift_detected=bool(drift),
        drift_kinds=tuple(kind.value for kind in drift.kinds),
        cause=drift.cause,
        trigger=trigger.value,
        actor=actor,
        health_before=state.health if state else "",
        digest_before=state.applied_digest if state else None,
        digest_after=state.desired_digest if state else None,
        generation=state.generation if state else None,
    )
