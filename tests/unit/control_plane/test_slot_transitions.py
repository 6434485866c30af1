"""What calls on a second slot make of an instance."""

import msgspec
import pytest

from draas.contract.problems import ProblemError
from draas.contract.slots import CANDIDATE, RETIRED
from draas.control_plane.records import Record, put, slots_of
from draas.control_plane.slot_transitions import closed, holding, opening, switched, weighed
from draas.control_plane.transitions import exited, halted
from draas.model.instance import OperationInFlight
from tests.support.records import CAUSE, record, slot

MINE = OperationInFlight("open-slot", "op", "alice", CAUSE.at, 3)
OLD, NEW = slot("main", digest="d1", generation=1), slot("second", digest="d2", generation=2)


def serving(**levels: object) -> Record:
    return record(status="Running", slot=OLD, **levels)


def both(**levels: object) -> Record:
    return put(serving(**levels), spare=NEW, second_slot=CANDIDATE)


def test_only_what_runs_can_have_a_second_slot() -> None:
    with pytest.raises(ProblemError, match="does not run"):
        holding(record(), "a", MINE, CAUSE)
    held = holding(serving(), "a", MINE, CAUSE).record
    assert held is not None
    assert (held.instance.operation, held.fence) == (MINE, 3)


def test_a_candidate_gets_no_traffic_and_changes_nothing_that_is_applied() -> None:
    made = opening(serving(), NEW, CAUSE)
    assert made.record is not None
    assert made.record.spare is not None
    assert (made.record.spare.weight, made.record.instance.second_slot) == (0, CANDIDATE)
    assert made.record.instance.applied_digest == "d1"
    assert [each.kind for each in made.changes] == ["SlotsChanged"]


def test_both_slots_know_that_neither_can_follow_the_other() -> None:
    mirrored = msgspec.structs.replace(NEW, mirrored=True)
    made = opening(serving(), mirrored, CAUSE).record
    assert made is not None
    assert [each.mirrored for each in slots_of(made)] == [True, True]
    digests = {"main": "held", "second": "whole"}
    after = switched(made, "second", digests, CAUSE).record
    assert after is not None and after.spare is not None
    assert (after.instance.applied_components_digest, after.spare.mirrored) == ("whole", True)
    assert after.spare.components_digest == "held"


def test_the_same_candidate_again_is_the_same_and_another_is_refused() -> None:
    assert opening(both(), NEW, CAUSE).changes == ()
    with pytest.raises(ProblemError) as refused:
        opening(both(), slot("second", digest="d3"), CAUSE)
    assert refused.value.kind == "slot-occupied"


def test_weights_are_news_and_the_same_ones_are_none() -> None:
    made = weighed(both(), {"main": 75, "second": 25}, CAUSE)
    assert made.record is not None
    assert [each.weight for each in slots_of(made.record)] == [75, 25]
    assert [each.kind for each in made.changes] == ["SlotsChanged"]
    assert weighed(made.record, {"main": 75, "second": 25}, CAUSE).changes == ()


def test_after_a_switch_the_other_one_is_applied_and_the_old_one_is_kept() -> None:
    after = switched(both(), "second", {}, CAUSE).record
    assert after is not None
    assert (after.slot and after.slot.name, after.spare and after.spare.name) == ("second", "main")
    assert after.instance.applied_digest == "d2"
    assert after.instance.second_slot == RETIRED
    assert [each.weight for each in slots_of(after)] == [100, 0]
    assert switched(after, "second", {}, CAUSE).changes == ()


def test_who_switches_back_takes_back_that_the_newer_one_was_good() -> None:
    there = switched(both(last_good_generation=1), "second", {}, CAUSE).record
    assert there is not None
    praised = put(there, last_good_generation=2, earlier_good_generation=1)
    back = switched(praised, "main", {}, CAUSE).record
    assert back is not None
    assert back.instance.last_good_generation == 1


def test_closing_leaves_the_serving_slot_with_all() -> None:
    after = closed(weighed(both(), {"main": 5, "second": 95}, CAUSE).record, "second", CAUSE).record
    assert after is not None
    assert [(each.name, each.weight) for each in slots_of(after)] == [("main", 100)]
    assert closed(after, "second", CAUSE).changes == ()
    assert closed(both(), "main", CAUSE).changes == ()


def test_a_stop_ends_both_and_an_exit_only_one() -> None:
    stopped = halted(both(), CAUSE).record
    assert stopped is not None
    assert slots_of(stopped) == ()
    crashed = exited(both(), 1, "crash", CAUSE).record
    assert crashed is not None
    assert crashed.instance.status == "Error"
