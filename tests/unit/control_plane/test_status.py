"""The transition function: which events follow from which levels."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.contract.problems import ProblemError
from draas.control_plane.adoption import settled
from draas.control_plane.ports import Running
from draas.control_plane.records import Slot, put
from draas.control_plane.status import parse_status, transition
from draas.control_plane.transitions import ended, exited, free, ready, released, starting
from draas.model.instance import OperationInFlight
from draas.model.status import InstanceStatus
from tests.support.records import CAUSE, SLOT, record

MINE = OperationInFlight("start", "op", "alice", CAUSE.at)
THEIRS = OperationInFlight("stop", "other", "bob", CAUSE.at)
RUNNING = Running("a", "main", 7, 1.5, "h", 1)


CASES = [
    pytest.param({}, {}, [], id="nothing"),
    pytest.param({}, {"generation": 2}, ["ConfigurationChanged"], id="configuration"),
    pytest.param(
        {"status": "ConfigurationChanged"},
        {"generation": 2, "status": "ConfigurationChanged"},
        ["ConfigurationChanged"],
        id="configuration, whatever the status says",
    ),
    pytest.param(
        {}, {"desired_run_state": "Running"}, ["DesiredRunStateChanged"], id="desired run state"
    ),
    pytest.param({}, {"status": "Error", "reason": "r"}, ["StatusChanged"], id="status"),
    pytest.param(
        {"status": "Error", "reason": "r"},
        {"status": "Error", "reason": "s"},
        ["StatusChanged"],
        id="another reason of what does not run",
    ),
    pytest.param(
        {"slot": SLOT},
        {"slot": SLOT, "reason": "s"},
        ["HealthChanged"],
        id="another reason of what runs",
    ),
    pytest.param(
        {"slot": SLOT},
        {"slot": SLOT, "health": "Degraded", "reason": "s"},
        ["HealthChanged"],
        id="health with its reason is one event",
    ),
    pytest.param({}, {"slot": SLOT}, ["Applied"], id="applied"),
    pytest.param({"slot": SLOT}, {}, ["Applied"], id="applied no more"),
    pytest.param({}, {"observed_components_digest": "c"}, ["ObservedChanged"], id="observed"),
    pytest.param({}, {"last_good_generation": 1}, ["LastGood"], id="last good"),
]


@pytest.mark.parametrize(("before", "after", "kinds"), CASES)
def test_events_follow_from_levels(
    before: dict[str, Any], after: dict[str, Any], kinds: list[str]
) -> None:
    done = transition(record(**before), record(**after), CAUSE)
    assert [each.kind for each in done.changes] == kinds
    assert all(each.actor == "alice" and each.operation_id == "op" for each in done.changes)


LEVELS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["Created", "Running", "Error"]),
        "health": st.sampled_from(["Healthy", "Unknown"]),
        "reason": st.sampled_from([None, "r", "s"]),
        "generation": st.integers(1, 2),
        "slot": st.sampled_from([None, SLOT]),
        "observed_components_digest": st.sampled_from([None, "c"]),
        "last_good_generation": st.sampled_from([None, 1]),
        "desired_run_state": st.sampled_from(["Running", "Stopped"]),
    }
)


@given(LEVELS, LEVELS)
def test_no_level_changes_without_an_event_and_no_event_without_a_level(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    done = transition(record(**before), record(**after), CAUSE)
    assert bool(done.changes) is (record(**before) != record(**after))


def test_creation_and_deletion_are_one_event_each() -> None:
    assert [each.kind for each in transition(None, record(), CAUSE).changes] == ["Created"]
    gone = transition(record(), None, CAUSE)
    assert ([each.kind for each in gone.changes], gone.record) == (["Deleted"], None)


def test_what_others_hold_is_busy() -> None:
    assert free(record(operation=MINE), "a", MINE).instance.operation == MINE
    with pytest.raises(ProblemError) as caught:
        free(record(operation=THEIRS), "a", MINE)
    assert caught.value.kind == "instance-busy"
    assert caught.value.members["operation"]["actor"] == "bob"


def test_a_start_of_the_same_is_no_change_and_of_another_is_refused() -> None:
    running = record(slot=SLOT, status="Running")
    assert starting(running, SLOT, MINE, {}, CAUSE).changes == ()
    with pytest.raises(ProblemError) as caught:
        other = Slot(
            **{name: getattr(SLOT, name) for name in SLOT.__struct_fields__} | {"digest": "d2"}
        )
        starting(running, other, MINE, {}, CAUSE)
    assert caught.value.kind == "instance-running"


def test_only_the_exit_of_what_runs_counts() -> None:
    begun = starting(record(), SLOT, MINE, {}, CAUSE).record
    assert begun is not None
    up = ready(begun, RUNNING, CAUSE).record
    assert up is not None
    assert up.instance.status == "Running"
    assert exited(up, 8, "r", CAUSE).changes == ()
    assert exited(put(up, operation=MINE), 7, "r", CAUSE).changes == ()
    crashed = exited(up, 7, "exit code 3", CAUSE).record
    assert crashed is not None
    assert (crashed.instance.status, crashed.slot, crashed.instance.reason) == (
        "Error",
        None,
        "exit code 3",
    )


def test_an_operation_that_did_not_finish_is_released_as_an_error() -> None:
    held = record(operation=MINE, status="Starting")
    done = released(held, MINE, CAUSE)
    assert done.record is not None
    assert (done.record.instance.status, done.record.instance.operation) == ("Error", None)
    assert done.changes
    assert released(record(operation=THEIRS), MINE, CAUSE).changes == ()
    assert released(record(), MINE, CAUSE).changes == ()


def test_a_stop_clears_what_was_applied() -> None:
    done = ended(record(slot=SLOT, status="Stopping"), InstanceStatus.STOPPED, None, CAUSE).record
    assert done is not None
    assert (done.slot, done.instance.applied_digest, done.stopped_at) == (None, None, CAUSE.at)


def test_a_record_without_a_slot_never_becomes_running() -> None:
    done = settled(
        record(status="Running", desired_run_state="Running"), {"main": RUNNING}, CAUSE
    ).record
    assert done is not None
    assert done.instance.status == "Error"


@pytest.mark.parametrize("value", [None, True, 8, -1, "", "4", 4, [1], {"a": 1}])
def test_no_status(value: Any) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_status(value, "status")
    assert caught.value.kind == "invalid-parameter"
