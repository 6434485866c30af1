"""The plan: which snapshots are acted on, held, resumed, adopted, or not understood."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.decide import gates
from draas.decide.plan import plan
from draas.decide.rules import Rules
from draas.model.instance import InstanceState, OperationInFlight
from draas.model.reconciliation import (
    Breaker,
    Decision,
    Drift,
    Memory,
    Operation,
    Phase,
    Quarantine,
    RolloutView,
    Snapshot,
    Trigger,
)
from draas.model.status import Health, InstanceStatus, RunState
from tests.unit.decide.test_detect import RUNNING, state

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
CHANGED = state(desired_digest="d2")
CRASHED = state(status="Error", reason="exit code 1")
BUSY = state(desired_digest="d2", operation=OperationInFlight("stop", "o", "somebody", ""))
FAILED_D2 = Quarantine("d2", "port in use", NOW, "op")


def memory(**values: Any) -> Memory:
    return Memory(instance_id="a", **values)


def snapshot(instance: InstanceState | None = RUNNING, **values: Any) -> Snapshot:
    return Snapshot(
        instance_id="a", state=instance, memory=values.pop("memory", memory()), **values
    )


OPEN_OPERATION = Operation(
    id="o",
    instance_id="a",
    strategy="Restart",
    phase=Phase.STARTING,
    trigger=Trigger.CHANGE,
    actor="",
    cause="",
    kinds=(),
    target_digest="d2",
    target_generation=2,
    previous_digest="d1",
    started_at=NOW,
    deadline=LATER,
    phase_since=NOW,
)


@pytest.mark.parametrize(
    ("given_snapshot", "decision", "gate"),
    [
        pytest.param(snapshot(), Decision.IN_SYNC, None, id="in sync"),
        pytest.param(snapshot(CHANGED), Decision.BEGIN, None, id="changed"),
        pytest.param(snapshot(CRASHED), Decision.BEGIN, None, id="crashed"),
        pytest.param(snapshot(None, unknown="no answer"), Decision.UNKNOWN, None, id="unreadable"),
        pytest.param(snapshot(None, gone=True), Decision.GONE, None, id="gone"),
        pytest.param(
            snapshot(state(status="Starting")), Decision.UNKNOWN, None, id="in transition"
        ),
        pytest.param(snapshot(state(applied_digest=None)), Decision.ADOPT, None, id="first sight"),
        pytest.param(
            snapshot(state(second_slot="candidate")), Decision.CLEAR, None, id="a slot of nobody"
        ),
        pytest.param(
            snapshot(state(status="Error", second_slot="retired")),
            Decision.BEGIN,
            None,
            id="what is down is started first",
        ),
        pytest.param(
            snapshot(CHANGED, operation=OPEN_OPERATION), Decision.RESUME, None, id="left open"
        ),
        pytest.param(
            snapshot(None, unknown="no answer", operation=OPEN_OPERATION),
            Decision.RESUME,
            None,
            id="left open, control plane away",
        ),
        pytest.param(snapshot(BUSY), Decision.HELD, "operation", id="somebody else works on it"),
        pytest.param(
            snapshot(CHANGED, memory=memory(quarantines=(FAILED_D2,))),
            Decision.HELD,
            "quarantine",
            id="failed before, nothing else to run",
        ),
        pytest.param(
            snapshot(CHANGED, memory=memory(quarantines=(FAILED_D2,)), last_good_digest="d1"),
            Decision.HELD,
            "quarantine",
            id="failed before, the last good one runs",
        ),
        pytest.param(
            snapshot(
                state(desired_digest="d2", status="Error"),
                memory=memory(quarantines=(FAILED_D2,)),
                last_good_digest="d1",
            ),
            Decision.BEGIN,
            None,
            id="failed before, the last good one crashed",
        ),
        pytest.param(
            snapshot(CHANGED, faults=("port: 0",)), Decision.HELD, "validation", id="invalid"
        ),
        pytest.param(
            snapshot(CHANGED, memory=memory(worked_digest="d2", not_before=LATER, failures=2)),
            Decision.HELD,
            "back-off",
            id="back-off",
        ),
        pytest.param(
            snapshot(CHANGED, memory=memory(worked_digest="d1", not_before=LATER, failures=2)),
            Decision.BEGIN,
            None,
            id="back-off of another digest",
        ),
        pytest.param(
            snapshot(CHANGED, breaker=Breaker(NOW, "half the fleet fails")),
            Decision.HELD,
            "breaker",
            id="breaker open",
        ),
        pytest.param(
            snapshot(CRASHED, breaker=Breaker(NOW, "half the fleet fails")),
            Decision.BEGIN,
            None,
            id="breaker open, nothing runs anyway",
        ),
    ],
)
def test_decisions(given_snapshot: Snapshot, decision: Decision, gate: str | None) -> None:
    made = plan(given_snapshot, Rules(), NOW)
    assert made.decision is decision
    blocked = made.blocked_by
    assert (blocked.name if blocked else None) == gate
    if decision is Decision.HELD:
        assert made.reason


def test_a_person_s_call_passes_back_off_and_breaker_and_nothing_else() -> None:
    held = snapshot(
        CHANGED,
        memory=memory(worked_digest="d2", not_before=LATER, failures=2),
        breaker=Breaker(NOW, "half the fleet fails"),
    )
    assert plan(held, Rules(), NOW, Trigger.MANUAL).decision is Decision.BEGIN
    quarantined = snapshot(CHANGED, memory=memory(quarantines=(FAILED_D2,)))
    assert plan(quarantined, Rules(), NOW, Trigger.MANUAL).decision is Decision.HELD


def test_unknown_actual_state_is_reconciled_only_if_told_so() -> None:
    unknown = snapshot(state(applied_digest=None))
    assert plan(unknown, Rules(adopt_unknown=False), NOW).decision is Decision.BEGIN


def test_the_plan_says_when_to_look_again() -> None:
    held = snapshot(CHANGED, memory=memory(worked_digest="d2", not_before=LATER, failures=2))
    assert plan(held, Rules(), NOW).next_look == LATER
    assert plan(snapshot(BUSY), Rules(), NOW).next_look is not None


STATES = st.builds(
    InstanceState,
    id=st.just("a"),
    generation=st.integers(0, 3),
    desired_digest=st.sampled_from(["d1", "d2"]),
    desired_run_state=st.sampled_from([*RunState, "?"]),
    status=st.sampled_from([*InstanceStatus, "?"]),
    health=st.sampled_from([*Health, "?"]),
    applied_digest=st.sampled_from([None, "d1", "d2"]),
    applied_components_digest=st.sampled_from([None, "c1", "c2"]),
    observed_components_digest=st.sampled_from([None, "c1", "c2"]),
)
SNAPSHOTS = st.builds(
    Snapshot,
    instance_id=st.just("a"),
    state=STATES,
    memory=st.builds(
        Memory,
        instance_id=st.just("a"),
        quarantines=st.sampled_from([(), (FAILED_D2,)]),
        not_before=st.sampled_from([None, NOW, LATER]),
        worked_digest=st.sampled_from([None, "d1", "d2"]),
    ),
    last_good_digest=st.sampled_from([None, "d1"]),
    breaker=st.sampled_from([Breaker(), Breaker(NOW, "stop")]),
    operation=st.none(),
)


@given(SNAPSHOTS)
def test_stopped_by_its_user_means_that_nothing_is_begun(given_snapshot: Snapshot) -> None:
    assert given_snapshot.state is not None
    stopped = msgspec.structs.replace(
        given_snapshot.state, desired_run_state="Stopped", status="Stopped"
    )
    made = plan(with_state(given_snapshot, stopped), Rules(), NOW)
    assert made.decision in (Decision.IN_SYNC, Decision.HELD)


@pytest.mark.parametrize(
    ("status", "reason"),
    [("Stopped", "stopped by its user"), ("Created", "it was never started")],
)
def test_what_is_not_to_run_is_not_held_by_a_quarantine(status: str, reason: str) -> None:
    idle = state(desired_digest="d2", desired_run_state="Stopped", status=status)
    failed = snapshot(idle, memory=memory(quarantines=(FAILED_D2,)), last_good_digest="d1")
    made = plan(failed, Rules(reconcile_stopped_instances=False), NOW)
    assert (made.decision, made.reason, made.drift) == (Decision.IN_SYNC, reason, Drift())


@pytest.mark.parametrize(
    ("now", "cause"),
    [
        pytest.param({"applied_digest": "d2"}, "", id="restarted by hand"),
        pytest.param({"status": "Error", "reason": "exit code 1"}, "exit code 1; ", id="crashed"),
    ],
)
def test_a_way_back_says_that_it_is_one(now: dict[str, Any], cause: str) -> None:
    failed = snapshot(
        state(desired_digest="d2", **now),
        memory=memory(quarantines=(FAILED_D2,)),
        last_good_digest="d1",
    )
    back = "back to the last good configuration, as the desired one failed (port in use)"
    assert plan(failed, Rules(), NOW).drift.cause == cause + back


@given(SNAPSHOTS)
def test_a_quarantined_digest_is_never_the_target(given_snapshot: Snapshot) -> None:
    made = plan(given_snapshot, Rules(), NOW, Trigger.MANUAL)
    if made.decision is Decision.BEGIN:
        assert given_snapshot.memory.quarantine_of(made.target_digest) is None


@given(SNAPSHOTS)
def test_what_is_not_known_is_never_acted_on(given_snapshot: Snapshot) -> None:
    made = plan(given_snapshot, Rules(), NOW)
    if made.drift.unknown:
        assert made.decision is Decision.UNKNOWN


def with_state(given_snapshot: Snapshot, instance: InstanceState) -> Snapshot:
    return replace(given_snapshot, state=instance)


def test_every_gate_has_its_name_and_place() -> None:
    shown = plan(snapshot(CHANGED), Rules(), NOW, Trigger.CHANGE).gates
    assert tuple(gate.name for gate in shown) == gates.NAMES


@pytest.mark.parametrize("health", [Health.HEALTHY, Health.UNKNOWN])
def test_it_goes_back_with_its_wave_whether_it_is_known_to_be_well_or_not(health: Health) -> None:
    changed_lately = memory(
        last_operation_at=NOW - timedelta(seconds=1),
        previous_digest="d0",
        previous_generation=1,
        worked_digest="d1",
        worked_shared="s",
    )
    stopped = RolloutView(digest="s", failed=5, reason="no")
    made = plan(
        snapshot(state(health=health.value), memory=changed_lately, rollout=stopped), Rules(), NOW
    )
    assert (made.decision, made.target_digest, made.exact) == (Decision.BEGIN, "d0", True)
