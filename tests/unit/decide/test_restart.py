"""The restart strategy's phase machine: every result in every phase, and what it never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.decide.commands import Apply, ErrorClass, Result
from draas.decide.rules import Rules
from draas.decide.strategies.hot_apply import HOT_APPLY
from draas.decide.strategies.restart import RESTART
from draas.model.reconciliation import Operation, Outcome, Phase
from tests.unit.decide.test_plan import NOW, OPEN_OPERATION

RULES = Rules()
RESTARTS = (
    Phase.CHECKING,
    Phase.STOPPING,
    Phase.STARTING,
    Phase.VERIFYING,
    Phase.RESTORING,
    Phase.VERIFYING_RESTORED,
)
OK = Result()


def at(phase: Phase, **changes: object) -> Operation:
    return replace(OPEN_OPERATION, phase=phase, **changes)  # type: ignore[arg-type]


def failed(kind: ErrorClass, **values: object) -> Result:
    return Result(error="it failed", error_class=kind, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "result", "phase", "outcome"),
    [
        pytest.param(
            at(Phase.CHECKING), Result(running=True), Phase.STOPPING, None, id="checked, runs"
        ),
        pytest.param(at(Phase.CHECKING), OK, Phase.STARTING, None, id="checked, does not run"),
        pytest.param(
            at(Phase.CHECKING),
            failed(ErrorClass.GONE),
            Phase.FINISHED,
            Outcome.SUPERSEDED,
            id="checked, gone",
        ),
        pytest.param(at(Phase.STOPPING), OK, Phase.STARTING, None, id="stopped"),
        pytest.param(
            at(Phase.STOPPING), Result(changed=False), Phase.STARTING, None, id="nothing ran"
        ),
        pytest.param(
            at(Phase.STOPPING),
            failed(ErrorClass.TRANSIENT),
            Phase.STOPPING,
            None,
            id="stop failed, again",
        ),
        pytest.param(
            at(Phase.STOPPING, attempt=3),
            failed(ErrorClass.TRANSIENT),
            Phase.FINISHED,
            Outcome.FAILED,
            id="stop failed for good: what runs is left alone",
        ),
        pytest.param(at(Phase.STARTING), OK, Phase.VERIFYING, None, id="started"),
        pytest.param(
            at(Phase.STARTING),
            failed(ErrorClass.PERMANENT),
            Phase.RESTORING,
            None,
            id="cannot start",
        ),
        pytest.param(
            at(Phase.STARTING, attempt=3),
            failed(ErrorClass.TRANSIENT),
            Phase.RESTORING,
            None,
            id="third start failed",
        ),
        pytest.param(at(Phase.VERIFYING), OK, Phase.FINISHED, Outcome.SUCCEEDED, id="verified"),
        pytest.param(
            at(Phase.VERIFYING),
            failed(ErrorClass.NOT_YET),
            Phase.VERIFYING,
            None,
            id="not healthy yet",
        ),
        pytest.param(
            at(Phase.VERIFYING, phase_since=NOW - RULES.health_timeout),
            failed(ErrorClass.NOT_YET),
            Phase.RESTORING,
            None,
            id="not healthy in time",
        ),
        pytest.param(
            at(Phase.VERIFYING, phase_since=NOW - RULES.health_timeout),
            failed(ErrorClass.INCONCLUSIVE),
            Phase.VERIFYING,
            None,
            id="nobody can tell: no pass and no failure",
        ),
        pytest.param(
            at(Phase.VERIFYING),
            failed(ErrorClass.DOWN),
            Phase.STARTING,
            None,
            id="ended while it was verified: it may have been killed",
        ),
        pytest.param(
            at(Phase.VERIFYING, attempt=3),
            failed(ErrorClass.DOWN),
            Phase.RESTORING,
            None,
            id="ended again and again",
        ),
        pytest.param(at(Phase.RESTORING), OK, Phase.VERIFYING_RESTORED, None, id="restored"),
        pytest.param(
            at(Phase.RESTORING),
            failed(ErrorClass.TRANSIENT),
            Phase.RESTORING,
            None,
            id="restore failed, again",
        ),
        pytest.param(
            at(Phase.RESTORING),
            failed(ErrorClass.PERMANENT, has_last_good=False),
            Phase.FINISHED,
            Outcome.FAILED,
            id="nothing to go back to",
        ),
        pytest.param(
            at(Phase.VERIFYING_RESTORED),
            OK,
            Phase.FINISHED,
            Outcome.ROLLED_BACK,
            id="restored and verified",
        ),
        pytest.param(
            at(Phase.VERIFYING_RESTORED, phase_since=NOW - RULES.health_timeout),
            failed(ErrorClass.NOT_YET),
            Phase.FINISHED,
            Outcome.FAILED,
            id="restored and not healthy",
        ),
        pytest.param(
            at(Phase.VERIFYING_RESTORED),
            failed(ErrorClass.DOWN),
            Phase.FINISHED,
            Outcome.FAILED,
            id="restored and ended: the next operation starts it again",
        ),
    ],
)
def test_advance(
    operation: Operation, result: Result, phase: Phase, outcome: Outcome | None
) -> None:
    after = RESTART.advance(operation, result, RULES, NOW)
    assert (after.phase, after.outcome) == (phase, outcome)


def test_the_pause_after_a_stop_is_kept_in_the_operation() -> None:
    after = RESTART.advance(at(Phase.STOPPING), OK, RULES, NOW)
    assert after.wake_at == NOW + RULES.restart_delay
    assert RESTART.advance(at(Phase.STOPPING), Result(changed=False), RULES, NOW).wake_at is None


def test_what_cannot_be_judged_is_held_until_it_can_be() -> None:
    late = at(Phase.VERIFYING, phase_since=NOW - RULES.health_timeout)
    held = RESTART.advance(late, failed(ErrorClass.INCONCLUSIVE), RULES, NOW)
    assert (held.inconclusive, held.outcome) == ("it failed", None)
    assert RESTART.advance(held, OK, RULES, NOW).outcome is Outcome.SUCCEEDED
    assert RESTART.advance(held, failed(ErrorClass.NOT_YET), RULES, NOW).phase is Phase.RESTORING


@pytest.mark.parametrize(
    ("maximum", "attempts"),
    [pytest.param(1, 1, id="one"), pytest.param(3, 3, id="three, as documented")],
)
def test_attempts_are_counted_in_all(maximum: int, attempts: int) -> None:
    operation, made = at(Phase.STARTING), 0
    while operation.phase is Phase.STARTING:
        made += 1
        result = failed(ErrorClass.TRANSIENT)
        operation = RESTART.advance(operation, result, Rules(attempts=maximum), NOW)
    assert made == attempts


def test_a_time_out_says_so() -> None:
    late = NOW + timedelta(hours=1)
    after = RESTART.advance(at(Phase.STARTING), failed(ErrorClass.TRANSIENT), RULES, late)
    assert after.phase is Phase.RESTORING
    assert after.error == "Reconciliation timed out after 00:05:00"


def test_a_newer_target_replaces_the_old_one() -> None:
    newer = Result(error="newer", error_class=ErrorClass.SUPERSEDED, digest="d3", generation=3)
    after = RESTART.advance(at(Phase.STARTING, attempt=2), newer, RULES, NOW)
    assert (after.target_digest, after.target_generation, after.attempt) == ("d3", 3, 1)
    assert after.phase is Phase.STARTING


RESULTS = st.one_of(
    st.just(OK),
    st.builds(failed, st.sampled_from([ErrorClass.TRANSIENT, ErrorClass.PERMANENT])),
    st.just(failed(ErrorClass.UNREACHABLE)),
)


@given(
    st.sampled_from(RESTARTS),
    st.integers(0, 100_000),
)
def test_an_outage_costs_no_time_and_decides_nothing(phase: Phase, seconds: int) -> None:
    before = at(phase)
    now = NOW + timedelta(seconds=seconds)
    after = RESTART.advance(before, failed(ErrorClass.UNREACHABLE), RULES, now)
    assert (after.phase, after.attempt, after.outcome) == (phase, before.attempt, None)
    assert after.deadline - now == before.deadline - NOW


@given(st.lists(RESULTS, max_size=40))
def test_after_a_stop_nothing_ends_without_a_start_or_nothing_left_to_start(
    results: list[Result],
) -> None:
    operation, something_runs, tried_to_restore = at(Phase.STARTING), False, False
    for result in results:
        phase = operation.phase
        if phase is Phase.FINISHED:
            break
        if result.ok and phase in (Phase.STARTING, Phase.RESTORING):
            something_runs = True
        tried_to_restore |= phase is Phase.RESTORING
        operation = RESTART.advance(operation, result, RULES, NOW)
    if operation.phase is Phase.FINISHED:
        assert something_runs or tried_to_restore


def test_every_phase_asks_for_something() -> None:
    for phase in RESTARTS:
        assert RESTART.command(at(phase), RULES) is not None
        assert HOT_APPLY.command(at(phase), RULES) is not None
    assert HOT_APPLY.command(at(Phase.APPLYING), RULES) == Apply()
    with pytest.raises(ValueError, match="finished"):
        RESTART.command(at(Phase.FINISHED), RULES)


LATE = NOW - RULES.health_timeout


@pytest.mark.parametrize(
    ("operation", "result", "strategy", "phase"),
    [
        pytest.param(
            at(Phase.CHECKING), Result(running=True), "HotApply", Phase.APPLYING, id="runs"
        ),
        pytest.param(at(Phase.CHECKING), OK, "Restart", Phase.STARTING, id="does not run"),
        pytest.param(at(Phase.APPLYING), OK, "HotApply", Phase.VERIFYING, id="applied"),
        pytest.param(
            at(Phase.APPLYING),
            failed(ErrorClass.PERMANENT),
            "Restart",
            Phase.STOPPING,
            id="cannot be changed in place",
        ),
        pytest.param(
            at(Phase.APPLYING),
            failed(ErrorClass.TRANSIENT),
            "HotApply",
            Phase.APPLYING,
            id="busy: again",
        ),
        pytest.param(
            at(Phase.APPLYING, attempt=3),
            failed(ErrorClass.TRANSIENT),
            "Restart",
            Phase.STOPPING,
            id="busy for too long",
        ),
        pytest.param(
            at(Phase.VERIFYING, phase_since=LATE),
            failed(ErrorClass.NOT_YET),
            "Restart",
            Phase.STOPPING,
            id="applied and not healthy",
        ),
        pytest.param(
            at(Phase.VERIFYING, phase_since=LATE),
            failed(ErrorClass.INCONCLUSIVE),
            "HotApply",
            Phase.VERIFYING,
            id="applied, and nobody can tell",
        ),
        pytest.param(
            at(Phase.APPLYING),
            Result(error="newer", error_class=ErrorClass.SUPERSEDED, digest="d3"),
            "HotApply",
            Phase.APPLYING,
            id="a newer one takes its place",
        ),
    ],
)
def test_a_change_in_place_becomes_a_restart_where_it_must(
    operation: Operation, result: Result, strategy: str, phase: Phase
) -> None:
    after = HOT_APPLY.advance(replace(operation, strategy="HotApply"), result, RULES, NOW)
    assert (after.strategy, after.phase, after.outcome) == (strategy, phase, None)
    assert bool(after.fell_back) is (strategy == "Restart")
