"""Restart: stop, wait, start in the same slot, verify; back to the last good on failure (D-13).

    checking ─▶ stopping ─▶ (wait) ─▶ starting ─▶ verifying ─▶ finished: succeeded
                   │                     │            │
                   ▼                     └────────────┴─▶ restoring ─▶ verifying-restored
            finished: failed                                            ─▶ finished: rolled-back

What ends while it is verified is started again, as often as there are attempts: somebody may have
killed it. The wait is the operation's `wake_at`: nobody stands by meanwhile, nor between two looks
of a verification.

Once something was stopped, only `finished` gives up, and only with something running or nothing
left to try (B-58, B-62). A newer desired configuration takes the place of the target wherever the
target is not proven yet; a user's stop and a deletion end the operation in any phase.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from draas.decide.commands import (
    Check,
    Command,
    ErrorClass,
    Restore,
    Result,
    Start,
    Stop,
    Verify,
)
from draas.decide.rules import Rules
from draas.decide.strategies.strategy import Strategy
from draas.model.instance import InstanceState
from draas.model.operation import Operation, Outcome, Phase, Watch
from draas.model.status import InstanceStatus


def steps(state: InstanceState, target: str, rules: Rules) -> tuple[str, ...]:
    """The restart in words; a server that does not run is only started."""
    start = f"start with {target}"
    verify = f"verify within {rules.health_timeout.total_seconds():g} s: healthy, observed = target"
    way_back = "on failure: start with the last good configuration"
    if state.status != InstanceStatus.RUNNING:
        return ("check", start, verify, way_back)
    wait = f"wait {rules.restart_delay.total_seconds():g} s"
    return ("check", "stop", wait, start, verify, way_back)


def command(operation: Operation, rules: Rules) -> Command:
    """What the operation's phase asks for."""
    match operation.phase:
        case Phase.CHECKING:
            return Check()
        case Phase.STOPPING:
            return Stop()
        case Phase.STARTING:
            return Start()
        case Phase.VERIFYING:
            return Verify()
        case Phase.RESTORING:
            return Restore()
        case Phase.VERIFYING_RESTORED:
            return Verify(restored=True)
        case _:
            raise ValueError(f"operation {operation.id}: {operation.phase} asks for nothing")


def advance(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """The operation after its command.

    While the control plane is out of reach the operation stays where it is and its clock stands
    still (D-16): an outage is no failure of the configuration.
    """
    if result.error_class is ErrorClass.UNREACHABLE:
        return resumed(operation, now)
    if result.error_class is ErrorClass.GONE:
        return _finished(operation, Outcome.SUPERSEDED, result.error, now)
    if result.error_class is ErrorClass.SUPERSEDED:
        return _superseded(operation, result, rules, now)
    if result.error_class is ErrorClass.ABORTED:
        return _aborted(operation, result.error, now)
    match operation.phase:
        case Phase.CHECKING:
            return _checked(operation, result, now)
        case Phase.STOPPING:
            if not result.ok:
                spent = _spent(operation, result, rules, now)
                if spent:
                    return _finished(operation, Outcome.FAILED, spent, now)
                return _again(operation, result)
            wake_at = now + rules.restart_delay if result.changed else None
            return replace(_to(operation, Phase.STARTING, now), wake_at=wake_at)
        case Phase.STARTING:
            return _started(operation, result, rules, now)
        case Phase.VERIFYING:
            if result.ok:
                return _settled(operation, result, rules, now)
            if result.error_class is ErrorClass.DOWN:
                return _ended(operation, result, rules, now)
            limit = min(operation.phase_since + rules.health_timeout, operation.deadline)
            blamed = result.error_class is not ErrorClass.ALTERED
            return _undecided(operation, result, limit, now) or _back(
                operation, result.error, now, permanent=blamed
            )
        case Phase.RESTORING:
            return _restored(operation, result, rules, now)
        case Phase.VERIFYING_RESTORED:
            if result.ok:
                return _finished(operation, Outcome.ROLLED_BACK, operation.error, now)
            limit = operation.phase_since + rules.health_timeout
            error = f"{operation.error}; the last good configuration: {result.error}"
            return _undecided(operation, result, limit, now) or _finished(
                operation, Outcome.FAILED, error, now
            )
        case _:
            return operation


def resumed(operation: Operation, now: datetime) -> Operation:
    """The operation with the time in which nobody worked on it taken off its limits."""
    away = now - operation.phase_since
    return replace(operation, phase_since=now, deadline=operation.deadline + away)


_WAITS = (ErrorClass.INCONCLUSIVE, ErrorClass.NOT_YET, ErrorClass.ALTERED)


def _undecided(
    operation: Operation, result: Result, limit: datetime, now: datetime
) -> Operation | None:
    """The verification that goes on; `None` where it has failed.

    At its limit only what is known to be wrong is a failure: what cannot be judged is held as it
    is until it can be, until something newer is desired, or until its user stops it.
    """
    operation = replace(operation, watch=Watch(checks=result.checks))
    if result.error_class is ErrorClass.INCONCLUSIVE and now >= limit:
        return replace(operation, inconclusive=result.error)
    waits = result.error_class in _WAITS
    return operation if waits and now < limit else None


def _settled(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """Done, once it has been healthy for the stabilisation period on end (R-136)."""
    good_since = operation.watch.good_since or now
    if now - good_since < rules.stabilization_period:
        watch = Watch(good_since=good_since, checks=result.checks)
        return replace(operation, watch=watch, inconclusive="")
    return _finished(operation, Outcome.SUCCEEDED, "", now)


def _aborted(operation: Operation, why: str, now: datetime) -> Operation:
    """What was not stopped yet runs on; anything else goes back to the last good one."""
    if operation.phase in (Phase.CHECKING, Phase.STOPPING):
        kept = replace(operation, permanent=True)
        return _finished(kept, Outcome.FAILED, why, now)
    if operation.phase in (Phase.STARTING, Phase.VERIFYING):
        return _back(operation, why, now)
    return operation


def _checked(operation: Operation, result: Result, now: datetime) -> Operation:
    if not result.ok:
        return _finished(operation, Outcome.FAILED, result.error, now)
    checked = replace(operation, health_before=result.health)
    return _to(checked, Phase.STOPPING if result.running else Phase.STARTING, now)


def _superseded(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    if result.digest is None:
        return _finished(operation, Outcome.SUPERSEDED, result.error, now)
    newer = replace(
        operation,
        target_digest=result.digest,
        target_generation=result.generation,
        attempt=1,
        error="",
        deadline=now + rules.reconciliation_timeout,
    )
    phase = Phase.STARTING if operation.phase is Phase.STARTING else Phase.STOPPING
    return _to(newer, phase, now)


def _started(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    if result.ok:
        return _to(operation, Phase.VERIFYING, now)
    spent = _spent(operation, result, rules, now)
    if spent:
        permanent = result.error_class is ErrorClass.PERMANENT
        return _back(operation, spent, now, permanent=permanent)
    return _again(operation, result)


def _ended(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """What came up and runs no more: nobody else starts it again while this operation is open.

    At once the first time, as it may have been killed; then after a while, as it may be its own
    fault, or what was read is old.
    """
    spent = _spent(operation, result, rules, now)
    if spent:
        return _back(operation, spent, now)
    wake_at = now + rules.retry_delay if operation.attempt > 1 else None
    again = replace(_to(operation, Phase.STARTING, now), wake_at=wake_at)
    return _again(again, result)


def _restored(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    if result.ok:
        return _to(operation, Phase.VERIFYING_RESTORED, now)
    if not result.has_last_good:
        error = f"{operation.error}; there is no other configuration to go back to"
        return _finished(operation, Outcome.FAILED, error, now)
    too_late = now >= operation.phase_since + rules.reconciliation_timeout
    if too_late or result.error_class is ErrorClass.PERMANENT:
        error = f"{operation.error}; the last good configuration: {result.error}"
        return _finished(operation, Outcome.FAILED, error, now)
    return operation


def _spent(operation: Operation, result: Result, rules: Rules, now: datetime) -> str:
    """Why no further attempt is made, if so."""
    if result.error_class is ErrorClass.PERMANENT:
        return result.error
    if now >= operation.deadline:
        return f"Reconciliation timed out after {_timespan(rules.reconciliation_timeout)}"
    return result.error if operation.attempt >= rules.attempts else ""


def _again(operation: Operation, result: Result) -> Operation:
    return replace(operation, attempt=operation.attempt + 1, error=result.error)


def _back(operation: Operation, error: str, now: datetime, *, permanent: bool = True) -> Operation:
    return _to(replace(operation, error=error, permanent=permanent), Phase.RESTORING, now)


def _to(operation: Operation, phase: Phase, now: datetime) -> Operation:
    return replace(
        operation, phase=phase, phase_since=now, wake_at=None, inconclusive="", watch=Watch()
    )


def _finished(operation: Operation, outcome: Outcome, error: str, now: datetime) -> Operation:
    return _to(replace(operation, outcome=outcome, error=error), Phase.FINISHED, now)


def _timespan(span: object) -> str:
    text = str(span)
    return text if text[1:2] != ":" else f"0{text}"


RESTART = Strategy("Restart", steps, command, advance)
