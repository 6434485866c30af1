"""Whose an instance is, and what becomes of it when its host is gone, back, or given up."""

from __future__ import annotations

import pytest

from draas.control_plane.host_decisions import found_again, given_up, lost
from draas.control_plane.ownership import ElsewhereError, owner
from draas.control_plane.records import Cause, Host, Record, Slot, put
from draas.control_plane.transitions import free
from draas.model.instance import Instance, OperationInFlight

AT = "2030-01-01T00:00:00.000000Z"
CAUSE = Cause(AT)
GONE = Host("b", "http://b", is_alive=False)


def record(
    status: str, *, runs_on: str | None = None, held_by: str | None = None, wanted: str = "Running"
) -> Record:
    instance = Instance(
        id="i",
        generation=1,
        desired_digest="d",
        desired_run_state=wanted,
        status=status,
        health="Healthy",
        name="i",
        created_at=AT,
        operation=operation(held_by) if held_by else None,
    )
    bare = Record(instance=instance, port=1)
    return put(bare, slot=slot(runs_on)) if runs_on else bare


def slot(host: str) -> Slot:
    return Slot(
        name="main",
        host="127.0.0.1",
        port=1,
        digest="d",
        components_digest="c",
        generation=1,
        at=AT,
        host_id=host,
    )


def operation(host: str) -> OperationInFlight:
    return OperationInFlight("start", "op", "alice", AT, host=host)


@pytest.mark.parametrize(
    ("found", "whose"),
    [
        pytest.param(record("Created"), None, id="nothing runs"),
        pytest.param(record("Running", runs_on="b"), "b", id="it runs"),
        pytest.param(record("Stopped", held_by="b"), "b", id="somebody is at work on it"),
        pytest.param(record("Starting", runs_on="a", held_by="a"), "a", id="it is being started"),
    ],
)
def test_an_instance_is_its_hosts(found: Record, whose: str | None) -> None:
    assert owner(found) == whose


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(record("Running", runs_on="b"), id="it runs there"),
        pytest.param(record("Stopped", held_by="b"), id="it is worked on there"),
    ],
)
def test_what_another_host_has_is_not_taken(found: Record) -> None:
    mine = OperationInFlight("stop", "mine", "alice", AT, host="a")
    with pytest.raises(ElsewhereError, match="host b"):
        free(found, "i", mine)
    theirs = found.instance.operation or operation("b")
    assert free(found, "i", theirs) is found


LOST = [
    pytest.param("Running", "b", None, "Running", "Unknown", True, id="it ran"),
    pytest.param("Error", "b", None, "Running", "Unknown", True, id="it was not well"),
    pytest.param("Stopping", "b", "b", "Stopped", "Stopping", True, id="it was being stopped"),
    pytest.param("Starting", "b", "b", "Running", "Starting", True, id="it was being started"),
    pytest.param("Stopping", None, "b", "Stopped", "Stopped", False, id="it was being deleted"),
    pytest.param("Stopped", None, "b", "Running", "Stopped", False, id="between stop and start"),
]


@pytest.mark.parametrize(("status", "runs_on", "held_by", "wanted", "becomes", "stays"), LOST)
def test_what_a_host_had_that_is_gone(
    status: str, runs_on: str | None, held_by: str | None, wanted: str, becomes: str, stays: bool
) -> None:
    before = record(status, runs_on=runs_on, held_by=held_by, wanted=wanted)
    after = lost(before, GONE, CAUSE).record
    assert after is not None
    assert (after.instance.status, after.slot is not None) == (becomes, stays)
    assert owner(after) == ("b" if stays else None)
    if stays:
        assert after.instance.health == "Unknown"
        assert "not heard of: b at http://b" in (after.instance.reason or "")
        assert after.instance.applied_digest == "d"
    assert lost(after, GONE, CAUSE).changes == (), "once is enough"


def test_what_others_have_is_left_alone() -> None:
    theirs = record("Running", runs_on="a")
    assert lost(theirs, GONE, CAUSE).record is theirs
    assert given_up(theirs, "b", CAUSE).record is theirs


def test_who_is_back_has_what_it_had() -> None:
    before = record("Running", runs_on="b")
    after = found_again(lost(before, GONE, CAUSE).record, CAUSE).record
    assert after is not None
    assert (after.instance.status, after.instance.reason) == ("Running", None)
    assert after.slot == before.slot
    assert found_again(before, CAUSE).changes == ()


@pytest.mark.parametrize(("wanted", "becomes"), [("Running", "Error"), ("Stopped", "Stopped")])
def test_what_is_given_up_runs_nowhere(wanted: str, becomes: str) -> None:
    after = given_up(record("Unknown", runs_on="b", wanted=wanted), "b", CAUSE).record
    assert after is not None
    assert (after.instance.status, after.slot, owner(after)) == (becomes, None, None)
