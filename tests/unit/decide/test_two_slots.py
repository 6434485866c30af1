"""The phase machine of strategies by two slots: the way there, the way back, what never happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.decide.analysis import AnalysisRules
from draas.decide.commands import Analyse, Close, ErrorClass, Prove, Result, Switch, TakeBack
from draas.decide.hand import obeying, refusal
from draas.decide.rules import Rules
from draas.decide.strategies import STRATEGIES, chosen
from draas.decide.strategies.blue_green import BLUE_GREEN
from draas.decide.strategies.canary import CANARY
from draas.decide.strategies.rolling_update import ROLLING_UPDATE
from draas.decide.strategies.strategy import Strategy
from draas.decide.strategies.watching import comparison_due
from draas.model.operation import Hand, Operation, Outcome, Phase, Watch, Wish
from draas.model.reconciliation import Drift, DriftKind
from draas.model.slots import Counters, Loss, Parity, QueryParity, SlotPlan, Traffic
from tests.unit.decide.test_detect import state
from tests.unit.decide.test_plan import NOW, OPEN_OPERATION, snapshot

RULES = Rules(minimum_healthy_time=timedelta(0), soak_time=timedelta(0))
BY_TWO = (ROLLING_UPDATE, BLUE_GREEN, CANARY)
TRAFFIC = Traffic(at="", slots={"main": Counters(), "second": Counters()})
OK = Result(running=True, slot="second", served_by="main", traffic=TRAFFIC)


def at(phase: Phase, strategy: Strategy = CANARY, **changes: object) -> Operation:
    slots = {"slot": "second", "served_by": "main", "baseline": TRAFFIC} | changes
    return replace(OPEN_OPERATION, strategy=strategy.name, phase=phase, **slots)  # type: ignore[arg-type]


def failed(kind: ErrorClass, **values: object) -> Result:
    return Result(error="it failed", error_class=kind, **values)  # type: ignore[arg-type]


NEWER = failed(ErrorClass.SUPERSEDED, digest="d3", generation=3)
STOPPED = failed(ErrorClass.SUPERSEDED)
LATE = NOW - timedelta(hours=1)
SEEN = Watch(seen=TRAFFIC)
NO_ROUTER = SlotPlan(possible=False, reasons=["no router"])


@pytest.mark.parametrize(
    ("operation", "result", "phase", "outcome"),
    [
        pytest.param(at(Phase.CHECKING), OK, Phase.OPENING, None, id="checked"),
        pytest.param(at(Phase.OPENING), OK, Phase.PROVING, None, id="opened"),
        pytest.param(
            at(Phase.OPENING),
            failed(ErrorClass.PERMANENT),
            Phase.CLOSING_CANDIDATE,
            None,
            id="cannot start",
        ),
        pytest.param(
            at(Phase.OPENING), failed(ErrorClass.TRANSIENT), Phase.OPENING, None, id="busy: again"
        ),
        pytest.param(
            at(Phase.OPENING),
            failed(ErrorClass.IMPOSSIBLE),
            Phase.FINISHED,
            Outcome.FAILED,
            id="impossible, and asked for",
        ),
        pytest.param(at(Phase.PROVING), OK, Phase.SHIFTING, None, id="proven"),
        pytest.param(
            at(Phase.PROVING, phase_since=LATE),
            failed(ErrorClass.NOT_YET),
            Phase.CLOSING_CANDIDATE,
            None,
            id="not healthy in time",
        ),
        pytest.param(
            at(Phase.PROVING, phase_since=LATE),
            failed(ErrorClass.INCONCLUSIVE),
            Phase.PROVING,
            None,
            id="nobody can tell: held",
        ),
        pytest.param(
            at(Phase.PROVING),
            failed(ErrorClass.LOST),
            Phase.OPENING,
            None,
            id="gone before it had any traffic: opened again",
        ),
        pytest.param(
            at(Phase.PROVING, attempt=3),
            failed(ErrorClass.LOST),
            Phase.CLOSING_CANDIDATE,
            None,
            id="gone for the third time",
        ),
        pytest.param(at(Phase.SHIFTING), OK, Phase.ANALYSING, None, id="shifted"),
        pytest.param(
            at(
                Phase.ANALYSING,
                promoted=True,
                watch=SEEN,
            ),
            OK,
            Phase.SHIFTING,
            None,
            id="promoted, and more steps to come",
        ),
        pytest.param(
            at(
                Phase.ANALYSING,
                promoted=True,
                step=3,
                watch=SEEN,
            ),
            OK,
            Phase.SWITCHING,
            None,
            id="the last step",
        ),
        pytest.param(
            at(Phase.ANALYSING), failed(ErrorClass.LOST), Phase.TAKING_BACK, None, id="it died"
        ),
        pytest.param(at(Phase.ANALYSING), NEWER, Phase.TAKING_BACK, None, id="newer: taken away"),
        pytest.param(
            at(Phase.ANALYSING), STOPPED, Phase.FINISHED, Outcome.SUPERSEDED, id="its user's stop"
        ),
        pytest.param(at(Phase.SWITCHING), OK, Phase.VERIFYING, None, id="switched"),
        pytest.param(
            at(Phase.SWITCHING, attempt=3),
            failed(ErrorClass.TRANSIENT),
            Phase.TAKING_BACK,
            None,
            id="cannot switch",
        ),
        pytest.param(at(Phase.VERIFYING), OK, Phase.CLOSING, None, id="verified in service"),
        pytest.param(
            at(Phase.VERIFYING),
            failed(ErrorClass.DOWN),
            Phase.TAKING_BACK,
            None,
            id="ended in service: back at once",
        ),
        pytest.param(
            at(Phase.SOAKING, BLUE_GREEN),
            failed(ErrorClass.DOWN),
            Phase.TAKING_BACK,
            None,
            id="ended in its soak",
        ),
        pytest.param(
            at(Phase.SOAKING, BLUE_GREEN), NEWER, Phase.CLOSING, None, id="newer than what soaks"
        ),
        pytest.param(
            at(Phase.CLOSING), OK, Phase.FINISHED, Outcome.SUCCEEDED, id="the old one is gone"
        ),
        pytest.param(
            at(Phase.CLOSING, attempt=3),
            failed(ErrorClass.TRANSIENT),
            Phase.FINISHED,
            Outcome.SUCCEEDED,
            id="the old one will not go: left to the control plane",
        ),
        pytest.param(at(Phase.TAKING_BACK), OK, Phase.CLOSING_CANDIDATE, None, id="taken back"),
        pytest.param(
            at(Phase.TAKING_BACK, attempt=50),
            failed(ErrorClass.TRANSIENT),
            Phase.TAKING_BACK,
            None,
            id="back at any price: again",
        ),
        pytest.param(
            at(Phase.TAKING_BACK),
            failed(ErrorClass.LOST),
            Phase.RESTORING,
            None,
            id="the old slot is gone: the last good one by a restart",
        ),
        pytest.param(
            at(Phase.CLOSING_CANDIDATE, renewed=True),
            OK,
            Phase.OPENING,
            None,
            id="taken away for a newer one",
        ),
        pytest.param(
            at(Phase.CLOSING_CANDIDATE),
            OK,
            Phase.VERIFYING_RESTORED,
            None,
            id="look at what serves",
        ),
        pytest.param(
            at(Phase.VERIFYING_RESTORED), OK, Phase.FINISHED, Outcome.ROLLED_BACK, id="all is well"
        ),
    ],
)
def test_advance(
    operation: Operation, result: Result, phase: Phase, outcome: Outcome | None
) -> None:
    after = STRATEGIES[operation.strategy].advance(operation, result, RULES, NOW)
    assert (after.phase, after.outcome) == (phase, outcome)


RESULTS = st.sampled_from(
    [OK, *(failed(kind) for kind in ErrorClass), NEWER, failed(ErrorClass.NOT_YET, running=True)]
)


@given(st.sampled_from(BY_TWO), st.lists(RESULTS, max_size=60))
def test_nothing_serves_that_was_not_proven_and_traffic_goes_back_first(
    strategy: Strategy, results: list[Result]
) -> None:
    operation, proven, with_traffic = at(Phase.CHECKING, strategy), "", False
    for result in results:
        if operation.phase is Phase.FINISHED or operation.strategy != strategy.name:
            break
        command = strategy.command(operation, RULES)
        if command == Switch():
            assert proven == operation.target_digest
        with_traffic |= operation.phase in (Phase.SHIFTING, Phase.SWITCHING)
        if isinstance(command, Close) and command.candidate:
            assert not with_traffic, "the traffic is to go back before"
        if command == TakeBack() and result.ok:
            with_traffic = False
        if operation.phase is Phase.PROVING and result.ok:
            proven = operation.target_digest
        operation = strategy.advance(operation, result, RULES, NOW)


@given(st.sampled_from(BY_TWO), st.lists(RESULTS, max_size=30))
def test_from_everywhere_it_comes_to_an_end(strategy: Strategy, results: list[Result]) -> None:
    operation = at(Phase.CHECKING, strategy)
    for result in (*results, *[replace(OK)] * 40):
        if operation.phase is Phase.FINISHED:
            return
        operation = STRATEGIES[operation.strategy].advance(
            replace(operation, promoted=True), result, RULES, NOW
        )
    assert operation.phase is Phase.FINISHED


DIFFERS = Drift((DriftKind.CONFIGURATION,))
POSSIBLE = SlotPlan(possible=True)


@pytest.mark.parametrize(
    ("values", "name", "why"),
    [
        pytest.param({"changed_settings": ()}, "HotApply", "only components", id="components"),
        pytest.param({}, "HotApply", "only components may", id="nobody knows"),
        pytest.param(
            {"changed_settings": ("port",), "slots": POSSIBLE},
            "RollingUpdate",
            "no downtime",
            id="a setting, and two slots are possible",
        ),
        pytest.param(
            {
                "changed_settings": ("port",),
                "slots": NO_ROUTER,
            },
            "Restart",
            "not possible: no router",
            id="a setting, and no router",
        ),
        pytest.param(
            {
                "changed_settings": ("port",),
                "slots": SlotPlan(possible=True, losses=[Loss(query="q")]),
            },
            "Restart",
            "would empty q",
            id="a setting, and state would be lost",
        ),
    ],
)
def test_auto_disturbs_least(values: dict[str, object], name: str, why: str) -> None:
    seen = state(desired_digest="d2")
    use, reason = chosen("auto", snapshot(seen, **values), seen, DIFFERS, "d2", RULES)
    assert use.name == name
    assert why in reason


@pytest.mark.parametrize(
    ("operation", "wish", "allowed"),
    [
        pytest.param(at(Phase.ANALYSING), Wish.PROMOTE, True, id="promote a step"),
        pytest.param(at(Phase.OPENING), Wish.PROMOTE, False, id="nothing to promote"),
        pytest.param(at(Phase.ANALYSING), Wish.RESUME, False, id="it is not paused"),
        pytest.param(at(Phase.SOAKING), Wish.ABORT, True, id="abort a soak"),
        pytest.param(at(Phase.CLOSING), Wish.ABORT, False, id="too late"),
        pytest.param(OPEN_OPERATION, Wish.PAUSE, False, id="a restart cannot be paused"),
        pytest.param(OPEN_OPERATION, Wish.ABORT, True, id="a restart can be taken back"),
    ],
)
def test_what_a_person_may_ask(operation: Operation, wish: Wish, allowed: bool) -> None:
    assert (refusal(operation, wish) == "") is allowed


def test_a_word_is_obeyed_once() -> None:
    paused = Hand(operation_id="o", wish=Wish.PAUSE, actor="ann", at=NOW, reason="lunch")
    operation = obeying(at(Phase.ANALYSING), paused)
    assert operation.paused == "paused by ann: lunch"
    resumed = replace(operation, paused="")
    assert obeying(resumed, paused) is resumed
    assert obeying(at(Phase.ANALYSING, id="another"), paused).paused == ""


@pytest.mark.parametrize("phase", [Phase.PROVING, Phase.ANALYSING])
def test_rows_are_compared_in_each_step_and_seldom_once_they_are_the_same(phase: Phase) -> None:
    rules = Rules(minimum_healthy_time=timedelta(hours=1))
    begun = at(phase, phase_since=NOW, watch=SEEN)
    assert comparison_due(begun, NOW)
    same = Parity(queries=[QueryParity(id="q", same=True)])
    looked = CANARY.advance(begun, replace(OK, parity=same), rules, NOW)
    for seconds, due in ((0.5, False), (29.0, False), (31.0, True)):
        assert comparison_due(looked, NOW + timedelta(seconds=seconds)) is due
    again = CANARY.advance(looked, OK, rules, NOW + timedelta(seconds=1))
    assert again.watch.compared_at == looked.watch.compared_at
    differs = Parity(queries=[QueryParity(id="q", same=False)])
    other = CANARY.advance(again, replace(OK, parity=differs), rules, NOW + timedelta(seconds=31))
    assert comparison_due(other, NOW + timedelta(seconds=31.5))


@pytest.mark.parametrize(
    ("phase", "step", "due"),
    [
        pytest.param(Phase.SHIFTING, 0, True, id="beside the other slot"),
        pytest.param(Phase.SHIFTING, len(RULES.canary_steps) - 1, False, id="all of the traffic"),
        pytest.param(Phase.SWITCHING, 0, False, id="in service"),
    ],
)
def test_nothing_waits_at_the_beginning_of_a_step_without_traffic_beside_it(
    phase: Phase, step: int, due: bool
) -> None:
    begun = CANARY.advance(at(phase, step=step), OK, RULES, NOW)
    assert comparison_due(begun, NOW) is due
    assert comparison_due(begun, NOW + timedelta(seconds=31))


def test_rows_are_not_compared_where_nobody_asked_for_it() -> None:
    rules = Rules(analysis=AnalysisRules(parity=False))
    for phase, command in ((Phase.PROVING, Prove(False)), (Phase.SOAKING, Analyse(False))):
        assert BLUE_GREEN.command(at(phase, BLUE_GREEN), rules) == command
