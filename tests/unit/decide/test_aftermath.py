"""What is remembered of an operation: quarantine, back-off, the slowing of fights; the breaker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.decide.aftermath import remember
from draas.decide.backoff import delay
from draas.decide.breaker import BreakerRules, next_breaker, released
from draas.decide.rules import Rules
from draas.model.reconciliation import Breaker, FleetView, Memory, Operation, Outcome
from draas.settings.timespan import LONGEST
from tests.unit.decide.test_plan import FAILED_D2, NOW, OPEN_OPERATION, memory

RULES = Rules()


def ended(outcome: Outcome, target: str = "d2", *, permanent: bool = True) -> Operation:
    return replace(
        OPEN_OPERATION, outcome=outcome, target_digest=target, permanent=permanent, error="why"
    )


def after(before: Memory, operation: Operation, good: str | None = "d1") -> Memory:
    return remember(before, operation, good, RULES, NOW, 0.0)


def test_what_was_rolled_back_is_quarantined_at_once() -> None:
    held = after(memory(), ended(Outcome.ROLLED_BACK)).quarantine_of("d2")
    assert held is not None and held.reason == "why"


def test_what_has_nothing_to_go_back_to_is_retried_first() -> None:
    known = memory()
    for n in range(1, RULES.attempts + 1):
        known = after(known, ended(Outcome.FAILED), good=None)
        assert known.failures == n
        assert (known.quarantine_of("d2") is not None) == (n == RULES.attempts)


def test_the_last_good_digest_is_never_quarantined() -> None:
    known = memory()
    for _ in range(10):
        known = after(known, ended(Outcome.FAILED, "d1"), good="d1")
    assert known.quarantines == ()
    assert known.not_before is not None and known.not_before > NOW


def test_success_lifts_only_its_own_quarantine() -> None:
    known = memory(quarantines=(FAILED_D2,))
    assert after(known, ended(Outcome.SUCCEEDED, "d3")).quarantines == (FAILED_D2,)
    assert after(known, ended(Outcome.SUCCEEDED, "d2")).quarantines == ()


def test_the_first_repairs_are_free_and_then_fights_are_slowed() -> None:
    known, waits = memory(), []
    for _ in range(RULES.free_repairs + 3):
        known = after(known, ended(Outcome.SUCCEEDED))
        assert known.not_before is not None
        waits.append((known.not_before - NOW).total_seconds())
    assert waits == [0.0] * RULES.free_repairs + [10.0, 20.0, 40.0]


def test_quiet_time_resets_the_count() -> None:
    long_ago = NOW - RULES.backoff_reset_after
    known = memory(repairs=9, worked_digest="d2", last_operation_at=long_ago)
    assert after(known, ended(Outcome.SUCCEEDED)).repairs == 1


def test_waiting_in_back_off_is_no_quiet_time() -> None:
    begun = NOW - RULES.backoff_maximum
    known = memory(repairs=9, worked_digest="d2", last_operation_at=begun, not_before=NOW)
    assert after(known, ended(Outcome.SUCCEEDED)).repairs == 10


def test_what_was_only_kept_from_starting_is_retried_before_it_is_blamed() -> None:
    known = memory()
    for n in range(1, RULES.attempts + 1):
        known = after(known, ended(Outcome.ROLLED_BACK, permanent=False))
        assert (known.quarantine_of("d2") is not None) == (n == RULES.attempts)


def test_what_failed_is_quarantined_at_once_if_there_is_something_better() -> None:
    assert after(memory(), ended(Outcome.FAILED), good="d1").quarantine_of("d2") is not None


def test_a_stop_that_was_refused_blames_no_configuration() -> None:
    known = memory()
    for _ in range(10):
        known = after(known, ended(Outcome.FAILED, permanent=False))
    assert known.quarantines == ()


def test_a_superseded_operation_leaves_no_trace() -> None:
    assert after(memory(), ended(Outcome.SUPERSEDED)) == memory()


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_delay_grows_to_its_maximum_and_no_further(failures: int, jitter: float) -> None:
    base, most = timedelta(seconds=10), timedelta(minutes=15)
    wait = delay(failures, base, most, jitter)
    assert base * 0.75 <= wait <= most
    assert delay(failures + 1, base, most, 0.0) >= delay(failures, base, most, 0.0)


def test_the_longest_delay_that_can_be_set_grows_no_further() -> None:
    assert delay(1000, LONGEST, LONGEST, 0.0) == LONGEST


BRAKES = BreakerRules(
    enabled=True,
    max_failing_share=0.5,
    minimum_failing=10,
    max_drifting_share=0.5,
    minimum_instances=100,
    hold_time=timedelta(minutes=5),
)


@pytest.mark.parametrize(
    ("fleet", "opens"),
    [
        pytest.param(FleetView(), False, id="no fleet"),
        pytest.param(FleetView(20, failing=5), False, id="five of twenty"),
        pytest.param(FleetView(3, failing=3), False, id="too few to judge"),
        pytest.param(FleetView(20, failing=11), True, id="eleven of twenty"),
        pytest.param(FleetView(60, drifting=60), False, id="a small fleet changed on purpose"),
        pytest.param(FleetView(1000, drifting=501), True, id="half a large fleet at once"),
        pytest.param(FleetView(1000, drifting=500), False, id="just half"),
    ],
)
def test_the_breaker_opens(fleet: FleetView, opens: bool) -> None:
    opened = next_breaker(Breaker(), fleet, BRAKES, NOW)
    assert (opened.open_since is not None) is opens
    assert bool(opened.reason) is opens
    assert next_breaker(Breaker(), fleet, replace(BRAKES, enabled=False), NOW) == Breaker()


def test_the_breaker_closes_after_its_hold_and_stays_closed_after_a_release() -> None:
    wave = FleetView(20, failing=11)
    opened = next_breaker(Breaker(), wave, BRAKES, NOW)
    calm = FleetView(20)
    early, late = NOW + timedelta(minutes=4), NOW + timedelta(minutes=6)
    assert next_breaker(opened, calm, BRAKES, early).open_since == NOW
    assert next_breaker(opened, calm, BRAKES, late) == Breaker()
    let_go = released(NOW, BRAKES)
    assert next_breaker(let_go, wave, BRAKES, early).open_since is None
    assert next_breaker(let_go, wave, BRAKES, late).open_since == late
