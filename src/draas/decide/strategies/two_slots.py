"""What all strategies by two slots share: a candidate beside the serving slot, and the way back.

    checking ─▶ opening ─▶ proving ─▶ … ─▶ switching ─▶ verifying ─▶ … ─▶ closing ─▶ succeeded
                   │          │                │            │
                   └──────────┤                └────────────┤
                              ▼                             ▼
                    closing-candidate ◀──────────────── taking-back
                              └─▶ verifying-restored ─▶ finished: rolled-back

What stands at the dots is the strategy's own order of phases. The way back is traffic first, then
the slot; it skips every step and analysis. A failure before the candidate had any traffic never
touches the slot that serves. A newer desired configuration takes the candidate away, which is no
failure, and goes on from `opening`; where the candidate serves already, the operation ends there
and the next one begins. An instance of which nothing serves is restarted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from draas.decide.commands import (
    Analyse,
    Check,
    Close,
    Command,
    ErrorClass,
    Open,
    Prove,
    Result,
    Shift,
    SmokeTest,
    Switch,
    TakeBack,
    Verify,
)
from draas.decide.rules import Rules
from draas.decide.strategies.restart import RESTART, resumed
from draas.decide.strategies.watching import Look, proved, watched, weight
from draas.decide.strategies.way_back import (
    UNSWITCHED,
    aborted,
    back,
    closed,
    failed,
    finished,
    restart,
    superseded,
    taken_back,
    to,
)
from draas.model.instance import InstanceState
from draas.model.operation import Operation, Outcome, Phase, Verdict, Watch
from draas.model.slots import Counters
from draas.model.status import InstanceStatus

Order = tuple[Phase, ...]
"""The phases of a strategy, from `opening` to `closing`."""


def steps(
    between: Callable[[Rules], tuple[str, ...]], state: InstanceState, target: str, rules: Rules
) -> tuple[str, ...]:
    """The change in words; a server that does not run is only started."""
    if state.status != InstanceStatus.RUNNING:
        return RESTART.steps(state, target, rules)
    healthy = f"{rules.minimum_healthy_time.total_seconds():g} s"
    return (
        "check",
        f"open a second slot with {target}; its reactions are held",
        f"prove: healthy for {healthy}, observed = target",
        *between(rules),
        f"drain the old slot for at most {rules.drain_time.total_seconds():g} s and remove it",
        "on failure: all traffic to the old slot, then remove the new one",
    )


def command(operation: Operation, rules: Rules) -> Command:
    """What the operation's phase asks for."""
    match operation.phase:
        case Phase.CHECKING:
            return Check()
        case Phase.SHIFTING:
            return Shift(weight(operation, rules))
        case Phase.VERIFYING_RESTORED:
            return Verify(restored=True)
        case Phase.CLOSING | Phase.CLOSING_CANDIDATE as phase:
            candidate = phase is Phase.CLOSING_CANDIDATE
            return Close(candidate, rules.drain_time.total_seconds())
        case Phase.PROVING:
            return Prove(rules.analysis.parity)
        case Phase.ANALYSING | Phase.SOAKING:
            return Analyse(rules.analysis.parity)
        case phase if phase in _COMMANDS:
            return _COMMANDS[phase]
        case _:
            raise ValueError(f"operation {operation.id}: {operation.phase} asks for nothing")


_COMMANDS: dict[Phase, Command] = {
    Phase.OPENING: Open(),
    Phase.TESTING: SmokeTest(),
    Phase.SWITCHING: Switch(),
    Phase.VERIFYING: Verify(),
    Phase.TAKING_BACK: TakeBack(),
}


def advance(
    order: Order, operation: Operation, result: Result, rules: Rules, now: datetime
) -> Operation:
    """The operation after its command, by the order of its strategy."""
    match result.error_class:
        case ErrorClass.UNREACHABLE:
            return resumed(operation, now)
        case ErrorClass.GONE:
            return finished(operation, Outcome.SUPERSEDED, result.error, now)
        case ErrorClass.SUPERSEDED:
            return superseded(operation, result, rules, now)
        case ErrorClass.ABORTED:
            return aborted(operation, result.error, rules, now)
        case ErrorClass.DOWN if operation.phase in UNSWITCHED:
            return restart(operation, result.error, Phase.STOPPING, now)
        case ErrorClass.DOWN if operation.phase is not Phase.VERIFYING_RESTORED:
            return back(operation, result.error, rules, now)
        case _:
            return _after(order, operation, result, rules, now)


def _after(
    order: Order, operation: Operation, result: Result, rules: Rules, now: datetime
) -> Operation:
    match operation.phase:
        case Phase.CHECKING:
            return _checked(operation, result, rules, now)
        case Phase.OPENING:
            return _opened(order, operation, result, rules, now)
        case Phase.PROVING | Phase.ANALYSING | Phase.SOAKING:
            return _watched(order, operation, result, rules, now)
        case Phase.VERIFYING:
            return _verified(order, operation, result, rules, now)
        case Phase.TESTING | Phase.SHIFTING | Phase.SWITCHING:
            if not result.ok:
                return failed(operation, result, rules, now)
            return _passed(order, operation, result, rules, now)
        case Phase.TAKING_BACK:
            return taken_back(operation, result, rules, now)
        case Phase.CLOSING | Phase.CLOSING_CANDIDATE:
            return closed(operation, result, rules, now)
        case Phase.VERIFYING_RESTORED:
            return RESTART.advance(operation, result, rules, now)
        case _:
            return operation


def _checked(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    if not result.ok:
        return finished(operation, Outcome.FAILED, result.error, now)
    if not result.running:
        return restart(operation, "nothing runs that could be replaced", Phase.STARTING, now)
    checked = replace(operation, health_before=result.health)
    return to(checked, Phase.OPENING, rules, now)


def _opened(
    order: Order, operation: Operation, result: Result, rules: Rules, now: datetime
) -> Operation:
    if result.error_class is ErrorClass.IMPOSSIBLE and operation.by_choice:
        return finished(operation, Outcome.FAILED, result.error, now)
    if result.error_class is ErrorClass.IMPOSSIBLE:
        return restart(operation, result.error, Phase.STOPPING, now)
    if not result.ok:
        return failed(operation, result, rules, now)
    opened = replace(operation, slot=result.slot, served_by=result.served_by)
    return _passed(order, opened, result, rules, now)


def _watched(
    order: Order, operation: Operation, result: Result, rules: Rules, now: datetime
) -> Operation:
    """A look at the candidate: on, back, or once more after a while."""
    if result.error_class is ErrorClass.LOST and operation.phase is Phase.PROVING:
        if operation.attempt >= rules.attempts:
            return back(operation, result.error, rules, now)
        again = replace(operation, attempt=operation.attempt + 1, error=result.error)
        return to(again, Phase.OPENING, rules, now)
    if result.error_class is ErrorClass.LOST:
        return back(operation, result.error, rules, now)
    look: Look = proved if operation.phase is Phase.PROVING else watched
    verdict, why, seen = look(operation, result, rules, now)
    if verdict is Verdict.FAIL:
        # One that was proven to run its target is altered by somebody, not by its configuration.
        altered = look is watched and result.error_class is ErrorClass.ALTERED
        return back(seen, why, rules, now, permanent=not altered)
    if verdict is Verdict.PASS and not operation.paused:
        return _passed(order, seen, result, rules, now)
    return seen


def _verified(
    order: Order, operation: Operation, result: Result, rules: Rules, now: datetime
) -> Operation:
    """As a restart is verified; what turns out bad is taken back and not restored."""
    after = RESTART.advance(operation, result, rules, now)
    if after.outcome is Outcome.SUCCEEDED:
        return _passed(order, operation, result, rules, now)
    if after.phase is Phase.RESTORING:
        return back(operation, result.error, rules, now, permanent=after.permanent)
    return after


def _passed(
    order: Order, operation: Operation, result: Result, rules: Rules, now: datetime
) -> Operation:
    """On to the phase that follows; an analysed step but the last is followed by another."""
    was, watch = operation.phase, Watch()
    after = order[order.index(was) + 1]
    attempt = operation.attempt if was is Phase.OPENING else 1
    after_it = replace(operation, attempt=attempt, error="", promoted=False)
    if was is Phase.ANALYSING:
        after_it = replace(after_it, step=operation.step + 1)
        if after_it.step < len(rules.canary_steps):
            after = Phase.SHIFTING
    if was in (Phase.SHIFTING, Phase.SWITCHING) and result.traffic is not None:
        alone = was is Phase.SWITCHING or weight(operation, rules) == 100
        watch = Watch(seen=result.traffic, grew_at=now, compared_at=now if alone else None)
        after_it = replace(after_it, baseline=result.traffic)
    if was is Phase.SWITCHING and result.traffic is not None:
        whole = result.traffic.slots.get(operation.served_by)
        after_it = replace(after_it, reference=_enough(whole, rules) or operation.reference)
    if after is Phase.SOAKING:
        watch = operation.watch
    return replace(to(after_it, after, rules, now), watch=watch)


def _enough(counters: Counters | None, rules: Rules) -> Counters | None:
    """The counters, if they tell how a slot does."""
    enough = counters is not None and counters.requests >= rules.analysis.minimum_samples
    return counters if enough else None
