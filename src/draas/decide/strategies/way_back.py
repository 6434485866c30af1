"""How an operation by two slots ends otherwise than it should: back, away, by a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from draas.decide.commands import ErrorClass, Result
from draas.decide.rules import Rules
from draas.decide.strategies.restart import RESTART
from draas.model.operation import Operation, Outcome, Phase, Watch

BEFORE_TRAFFIC = (Phase.OPENING, Phase.PROVING, Phase.TESTING)
WITH_TRAFFIC = (Phase.SHIFTING, Phase.ANALYSING, Phase.SWITCHING, Phase.VERIFYING, Phase.SOAKING)
UNSWITCHED = (*BEFORE_TRAFFIC, Phase.SHIFTING, Phase.ANALYSING)


def failed(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """A command that failed: again, or back; only what cannot go well blames the configuration."""
    if result.error_class in (ErrorClass.PERMANENT, ErrorClass.LOST):
        return back(operation, result.error, rules, now)
    if operation.attempt >= rules.attempts or now >= operation.deadline:
        return back(operation, result.error, rules, now, permanent=False)
    return replace(operation, attempt=operation.attempt + 1, error=result.error)


def taken_back(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """The traffic goes back at any price: where the old slot is gone, by a restart."""
    if result.ok:
        return to(replace(operation, attempt=1), Phase.CLOSING_CANDIDATE, rules, now)
    lost = result.error_class in (ErrorClass.PERMANENT, ErrorClass.LOST)
    if not lost and now < operation.phase_since + rules.reconciliation_timeout:
        return replace(operation, attempt=operation.attempt + 1)
    why = f"the old slot could not take over again: {result.error}"
    return replace(restart(operation, why, Phase.RESTORING, now), error=operation.error or why)


def closed(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """A slot that will not go away is left to the control plane, which removes what nobody owns."""
    stuck = result.error_class is ErrorClass.PERMANENT or operation.attempt >= rules.attempts
    if not result.ok and not stuck:
        return replace(operation, attempt=operation.attempt + 1)
    operation = replace(operation, attempt=1)
    if operation.phase is Phase.CLOSING and operation.renewed:
        return finished(operation, Outcome.SUPERSEDED, operation.error, now)
    if operation.phase is Phase.CLOSING:
        return finished(operation, Outcome.SUCCEEDED, "", now)
    if operation.renewed:
        fresh = replace(operation, renewed=False, step=0, error="", baseline=None, reference=None)
        return to(fresh, Phase.OPENING, rules, now)
    return to(operation, Phase.VERIFYING_RESTORED, rules, now)


def superseded(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """By its user's stop it ends; a newer target takes the place of one that does not serve yet."""
    if result.digest is None:
        return finished(operation, Outcome.SUPERSEDED, result.error, now)
    if operation.phase is Phase.SOAKING:
        served = replace(operation, renewed=True, error=result.error)
        return to(served, Phase.CLOSING, rules, now)
    newer = replace(
        operation,
        target_digest=result.digest,
        target_generation=result.generation,
        renewed=operation.phase is not Phase.OPENING,
        round=operation.round + 1,
        attempt=1,
        error="",
    )
    return to(newer, _way_back(operation.phase), rules, now)


def _way_back(phase: Phase) -> Phase:
    if phase is Phase.OPENING:
        return phase
    return Phase.TAKING_BACK if phase in WITH_TRAFFIC else Phase.CLOSING_CANDIDATE


def aborted(operation: Operation, why: str, rules: Rules, now: datetime) -> Operation:
    """By a person: what was not begun ends, anything else goes back."""
    if operation.phase is Phase.CHECKING:
        kept = replace(operation, permanent=True)
        return finished(kept, Outcome.FAILED, why, now)
    return back(operation, why, rules, now)


def back(
    operation: Operation, error: str, rules: Rules, now: datetime, *, permanent: bool = True
) -> Operation:
    """Traffic first, then the slot. What goes back already goes on."""
    if operation.phase not in (*BEFORE_TRAFFIC, *WITH_TRAFFIC):
        return operation
    phase = Phase.TAKING_BACK if operation.phase in WITH_TRAFFIC else Phase.CLOSING_CANDIDATE
    going = replace(operation, error=error, permanent=permanent, renewed=False, attempt=1)
    going = replace(going, paused="", aborted="")
    return replace(to(going, phase, rules, now), watch=Watch(judgement=operation.watch.judgement))


def restart(operation: Operation, why: str, phase: Phase, now: datetime) -> Operation:
    """The same operation as a restart, which ends every slot first."""
    fallen_back = replace(
        operation,
        strategy=RESTART.name,
        fell_back=f"{operation.strategy} could not: {why}",
        attempt=1,
        error="",
        paused="",
        phase=phase,
        phase_since=now,
    )
    return replace(fallen_back, wake_at=None, inconclusive="", watch=Watch())


def to(operation: Operation, phase: Phase, rules: Rules, now: datetime) -> Operation:
    """A phase begins with all its time: what is watched takes as long as it takes."""
    return replace(
        operation,
        phase=phase,
        phase_since=now,
        deadline=now + rules.reconciliation_timeout,
        wake_at=None,
        inconclusive="",
        watch=Watch(),
    )


def finished(operation: Operation, outcome: Outcome, error: str, now: datetime) -> Operation:
    """The operation at its end."""
    over = replace(operation, outcome=outcome, error=error, phase=Phase.FINISHED, phase_since=now)
    return replace(over, wake_at=None, inconclusive="")
