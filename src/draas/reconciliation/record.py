"""Write down what happened: audit entries, log lines, metrics. Actions and changes only (D-12)."""

from __future__ import annotations

from datetime import datetime

from draas.decide.rules import Rules
from draas.model.audit import AuditEntry
from draas.model.instance import InstanceState
from draas.model.reconciliation import Memory, Operation, Outcome, Phase, Plan
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics


def timestamp(now: datetime) -> str:
    """The instant as the API and the audit write it."""
    return now.isoformat(timespec="microseconds").replace("+00:00", "Z")


def began(operation: Operation, plan: Plan, now: datetime) -> AuditEntry:
    """The entry of an operation that begins: what is wrong and what will be done about it."""
    return _entry(
        operation,
        now,
        action=f"Reconciling using {operation.strategy} strategy",
        outcome="started",
        plan=plan.steps,
    )


def finished(
    operation: Operation, plan_steps: tuple[str, ...], memory: Memory, now: datetime
) -> AuditEntry:
    """The entry of an operation that ended; R-120's texts."""
    quarantine = memory.quarantine_of(operation.target_digest)
    return _entry(
        operation,
        now,
        action=_action(operation),
        outcome=operation.outcome.value if operation.outcome else "",
        plan=plan_steps,
        quarantined=quarantine.digest if quarantine else None,
        ended=True,
    )


def _action(operation: Operation) -> str:
    using = f"using {operation.strategy} strategy"
    match operation.outcome:
        case Outcome.SUCCEEDED:
            return f"Reconciled {using}"
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
    plan: tuple[str, ...],
    quarantined: str | None = None,
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
        plan=plan,
        trigger=operation.trigger.value,
        actor=operation.actor,
        attempts=operation.attempt,
        duration_seconds=(now - operation.started_at).total_seconds() if ended else None,
        error=operation.error,
        digest_before=operation.previous_digest,
        digest_after=operation.target_digest,
        generation=operation.target_generation,
        health_before=operation.health_before,
        health_after=_health_after(operation) if ended else "",
        quarantined_digest=quarantined,
        operation_id=operation.id,
    )


def _health_after(operation: Operation) -> str:
    verified = operation.outcome in (Outcome.SUCCEEDED, Outcome.ROLLED_BACK)
    return "Healthy" if verified else "Unknown"


def noted(
    instance_id: str,
    now: datetime,
    *,
    action: str,
    outcome: str,
    cause: str = "",
    state: InstanceState | None = None,
    actor: str = "",
    drift_detected: bool = False,
) -> AuditEntry:
    """The entry of a change of state that is no operation: held, adopted, released, gone."""
    return AuditEntry(
        instance_id=instance_id,
        timestamp=timestamp(now),
        action=action,
        outcome=outcome,
        cause=cause,
        drift_detected=drift_detected,
        actor=actor,
        digest_before=state.applied_digest if state else None,
        digest_after=state.desired_digest if state else None,
        generation=state.generation if state else None,
    )


def announce_beginning(operation: Operation, metrics: DaemonMetrics) -> None:
    """The log lines and metrics of an operation that begins (R-130.8, R-130.10)."""
    said = "; ".join(operation.summary) or operation.cause
    emit(messages.DRIFT_DETECTED, instance_id=operation.instance_id, differences=said)
    emit(
        messages.STRATEGY_SELECTED,
        strategy=operation.strategy,
        instance_id=operation.instance_id,
        reason=operation.cause,
    )
    emit(messages.RESTART_STARTING, instance_id=operation.instance_id)
    for kind in operation.kinds:
        metrics.drift_detected(kind.value)


def announce_retry(operation: Operation, error: str, delay: object, rules: Rules) -> None:
    """The log line of an attempt that failed and is made again."""
    emit(
        messages.ATTEMPT_FAILED,
        instance_id=operation.instance_id,
        attempt=operation.attempt,
        attempts=rules.attempts,
        delay=delay,
        reason=error,
    )


def announce_end(
    operation: Operation, memory: Memory, rules: Rules, now: datetime, metrics: DaemonMetrics
) -> None:
    """The log lines and metrics of an operation that ended (R-130.7, R-130.9)."""
    instance_id, outcome = operation.instance_id, operation.outcome
    seconds = (now - operation.started_at).total_seconds()
    if outcome is Outcome.SUCCEEDED:
        metrics.succeeded(operation.strategy, operation.trigger, seconds)
        attempt = {"attempt": operation.attempt, "attempts": rules.attempts}
        emit(messages.RECONCILIATION_SUCCESSFUL, instance_id=instance_id, **attempt)
        emit(messages.RESTART_SUCCESSFUL, instance_id=instance_id)
        emit(messages.RECONCILED, instance_id=instance_id, strategy=operation.strategy)
        return
    if outcome is Outcome.SUPERSEDED:
        return
    reason = "permanent" if operation.permanent else "transient"
    metrics.failed(operation.strategy, operation.trigger, reason, outcome, seconds)
    emit(messages.RECONCILE_FAILED, instance_id=instance_id, reason=operation.error)
    if outcome is Outcome.ROLLED_BACK:
        emit(messages.ROLLED_BACK, instance_id=instance_id, reason=operation.error)
    if memory.quarantine_of(operation.target_digest):
        emit(messages.QUARANTINED, digest=operation.target_digest, instance_id=instance_id)


def announce_phase(operation: Operation) -> None:
    """The log line of a phase that failed."""
    if operation.phase is Phase.RESTORING and operation.error:
        emit(
            messages.RESTART_START_FAILED, instance_id=operation.instance_id, error=operation.error
        )
