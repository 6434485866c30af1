"""HotApply: change the running server in place, verify; where that cannot be done, restart it.

    checking ─▶ applying ─▶ verifying ─▶ finished: succeeded
       │            │           │
       └────────────┴───────────┴─▶ Restart, from its own phases

Sources, queries and reactions can change while a server runs; a setting of the server itself
cannot, and neither can what does not run. Nothing is stopped before it is known that it must be.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from draas.decide.commands import Apply, Command, ErrorClass, Result
from draas.decide.rules import Rules
from draas.decide.strategies.restart import RESTART
from draas.decide.strategies.strategy import Strategy
from draas.model.instance import InstanceState
from draas.model.operation import Operation, Phase, Watch
from draas.model.status import InstanceStatus

NAME = "HotApply"


def steps(state: InstanceState, target: str, rules: Rules) -> tuple[str, ...]:
    """The change in words; a server that does not run is only started."""
    if state.status != InstanceStatus.RUNNING:
        return RESTART.steps(state, target, rules)
    verify = f"verify within {rules.health_timeout.total_seconds():g} s: healthy, observed = target"
    return ("check", f"change in place to {target}", verify, "where that cannot be done: restart")


def command(operation: Operation, rules: Rules) -> Command:
    """What the operation's phase asks for."""
    return Apply() if operation.phase is Phase.APPLYING else RESTART.command(operation, rules)


def advance(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """The operation after its command; the other outcomes are those of a restart."""
    if result.error_class is ErrorClass.SUPERSEDED and result.digest is not None:
        newer = replace(
            operation,
            target_digest=result.digest,
            target_generation=result.generation,
            deadline=now + rules.reconciliation_timeout,
        )
        return _at(newer, Phase.APPLYING, now)
    if result.error_class in (ErrorClass.UNREACHABLE, ErrorClass.GONE, ErrorClass.SUPERSEDED):
        return RESTART.advance(operation, result, rules, now)
    changed = operation.phase in (Phase.APPLYING, Phase.VERIFYING)
    if result.error_class is ErrorClass.ABORTED and changed:
        aborted = replace(operation, error=result.error, permanent=True, strategy=RESTART.name)
        return _at(aborted, Phase.RESTORING, now)
    match operation.phase:
        case Phase.CHECKING if result.ok and result.running:
            return _at(replace(operation, health_before=result.health), Phase.APPLYING, now)
        case Phase.CHECKING if result.ok:
            return _restart(operation, "nothing runs that could be changed", Phase.STARTING, now)
        case Phase.APPLYING if result.ok:
            return _at(operation, Phase.VERIFYING, now)
        case Phase.APPLYING if _may_retry(operation, result, rules, now):
            return replace(operation, attempt=operation.attempt + 1, error=result.error)
        case Phase.APPLYING:
            return _restart(operation, result.error, Phase.STOPPING, now)
        case Phase.VERIFYING if result.error_class is ErrorClass.DOWN:
            return _restart(operation, result.error, Phase.STARTING, now)
        case _:
            after = RESTART.advance(operation, result, rules, now)
            if after.phase is Phase.RESTORING:
                return _restart(operation, result.error, Phase.STOPPING, now)
            return after


def _may_retry(operation: Operation, result: Result, rules: Rules, now: datetime) -> bool:
    transient = result.error_class is ErrorClass.TRANSIENT
    return transient and operation.attempt < rules.attempts and now < operation.deadline


def _restart(operation: Operation, why: str, phase: Phase, now: datetime) -> Operation:
    """The same operation as a restart: only there may a configuration turn out bad."""
    fallen_back = replace(
        operation,
        strategy=RESTART.name,
        fell_back=f"{NAME} could not: {why}",
        attempt=1,
        error="",
    )
    return _at(fallen_back, phase, now)


def _at(operation: Operation, phase: Phase, now: datetime) -> Operation:
    return replace(
        operation, phase=phase, phase_since=now, wake_at=None, inconclusive="", watch=Watch()
    )


HOT_APPLY = Strategy(NAME, steps, command, advance)
