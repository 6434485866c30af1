"""Log lines and metrics of what the daemon does: the texts of R-130, each where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from draas.client.port import ControlPlaneError, RefusedError, UnreachableError
from draas.decide.commands import (
    Analyse,
    Apply,
    Check,
    Close,
    Command,
    Open,
    Prove,
    Restore,
    Shift,
    SmokeTest,
    Start,
    Stop,
    Switch,
    TakeBack,
    Verify,
)
from draas.decide.rules import Rules
from draas.decide.strategies.restart import RESTART
from draas.model.reconciliation import Gate, Memory, Operation, Outcome
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

_CHANGES: Mapping[type[Command], str] = {
    Apply: "change instance {} in place",
    Open: "open a second slot of instance {}",
    SmokeTest: "make the smoke tests of instance {}",
    Shift: "share out the traffic of instance {}",
    Switch: "switch the slots of instance {}",
    TakeBack: "take back the traffic of instance {}",
    Close: "remove a slot of instance {}",
}


def beginning(operation: Operation, metrics: DaemonMetrics) -> None:
    """The log lines and metrics of an operation that begins (R-130.8, R-130.10)."""
    said = "; ".join(operation.summary) or operation.cause
    emit(messages.DRIFT_DETECTED, instance_id=operation.instance_id, differences=said)
    emit(
        messages.STRATEGY_SELECTED,
        strategy=operation.strategy,
        instance_id=operation.instance_id,
        reason=operation.cause,
    )
    if operation.strategy == RESTART.name:
        emit(messages.RESTART_STARTING, instance_id=operation.instance_id)
    for kind in operation.kinds:
        metrics.drift_detected(kind.value)


def fell_back(operation: Operation) -> None:
    """The log line of an operation that another strategy carries on."""
    emit(
        messages.FELL_BACK,
        instance_id=operation.instance_id,
        strategy=operation.strategy,
        reason=operation.fell_back,
    )
    emit(messages.RESTART_STARTING, instance_id=operation.instance_id)


def retry(operation: Operation, error: str, delay: object, rules: Rules) -> None:
    """The log line of an attempt that failed and is made again."""
    emit(
        messages.ATTEMPT_FAILED,
        instance_id=operation.instance_id,
        attempt=operation.attempt,
        attempts=rules.attempts,
        delay=delay,
        reason=error,
    )


def end(
    operation: Operation, memory: Memory, rules: Rules, now: datetime, metrics: DaemonMetrics
) -> None:
    """The log lines and metrics of an operation that ended (R-130.7, R-130.9)."""
    instance_id, outcome = operation.instance_id, operation.outcome
    seconds = (now - operation.started_at).total_seconds()
    if outcome is Outcome.SUCCEEDED:
        metrics.succeeded(operation.strategy, operation.trigger, seconds)
        attempt = {"attempt": operation.attempt, "attempts": rules.attempts}
        emit(messages.RECONCILIATION_SUCCESSFUL, instance_id=instance_id, **attempt)
        if operation.strategy == RESTART.name:
            emit(messages.RESTART_SUCCESSFUL, instance_id=instance_id)
        emit(messages.RECONCILED, instance_id=instance_id, strategy=operation.strategy)
        if memory.quarantine_of(operation.target_digest):
            emit(messages.QUARANTINED, digest=operation.target_digest, instance_id=instance_id)
        return
    if outcome is Outcome.SUPERSEDED:
        return
    reason = "permanent" if operation.permanent else "transient"
    metrics.failed(operation.strategy, operation.trigger, reason, outcome, seconds)
    timed_out = operation.error.startswith(messages.TIMED_OUT.template.split("{")[0])
    if timed_out:
        emit(messages.TIMED_OUT, timeout=rules.reconciliation_timeout)
    emit(
        messages.ATTEMPTS_EXHAUSTED,
        instance_id=instance_id,
        attempt=operation.attempt,
        attempts=rules.attempts,
        reason=operation.error,
    )
    emit(messages.RECONCILE_FAILED, instance_id=instance_id, reason=operation.error)
    if outcome is Outcome.ROLLED_BACK:
        emit(messages.ROLLED_BACK, instance_id=instance_id, reason=operation.error)
    if memory.quarantine_of(operation.target_digest):
        emit(messages.QUARANTINED, digest=operation.target_digest, instance_id=instance_id)


def inconclusive(operation: Operation, metrics: DaemonMetrics) -> None:
    """Why an operation stands still after its time: neither a pass nor a failure."""
    metrics.skipped("inconclusive")
    emit(
        messages.SKIPPED,
        instance_id=operation.instance_id,
        reason=f"its verification cannot be judged: {operation.inconclusive}",
    )


def held(instance_id: str, gate: Gate) -> None:
    """Why nothing is done about an instance (R-182)."""
    if gate.name == "status":
        emit(messages.SKIPPED_ERROR, instance_id=instance_id)
    else:
        emit(messages.SKIPPED, instance_id=instance_id, reason=gate.reason)


def call_failed(command: Command, instance_id: str, error: ControlPlaneError) -> None:
    """A call that failed (R-130.13, R-130.14); an outage is told once, elsewhere."""
    if isinstance(error, UnreachableError):
        return
    status = error.status if isinstance(error, RefusedError) else None
    match command:
        case Stop():
            refused, failed = messages.STOP_REFUSED, messages.STOP_ERROR
            emit(messages.RESTART_STOP_FAILED, instance_id=instance_id, reason=error)
        case Start() | Restore():
            refused, failed = messages.START_REFUSED, messages.START_ERROR
            emit(messages.RESTART_START_FAILED, instance_id=instance_id, reason=error)
        case Check() | Verify() | Prove() | Analyse():
            emit(messages.INSTANCE_READ_ERROR, instance_id=instance_id, reason=error)
            return
        case _:
            what = _CHANGES[type(command)].format(instance_id)
            emit(messages.CALL_FAILED, instance_id=instance_id, what=what, reason=error)
            return
    if status is not None:
        emit(refused, instance_id=instance_id, status_code=status)
    else:
        emit(failed, instance_id=instance_id, reason=error)
