"""Ports for slots: free ones, of their own, and other ones where somebody was faster."""

from typing import Any

import pytest

from draas.adapters.clock import SystemClock
from draas.contract.problems import ProblemError
from draas.control_plane.documents import document
from draas.control_plane.placing import OvertakenError, Placing
from draas.control_plane.ports import Launch, LaunchError
from draas.control_plane.records import SERVER, Place, Record
from draas.testing.simulated_platform import SimulatedPlatform
from tests.support.records import record, slot

PORTS = range(20000, 20004)
WANTED = {
    "port": 8081,
    "sources": [{"id": "s", "kind": "http", "host": "127.0.0.1", "port": 9000}],
}


def placing(taken: set[int], *fleet: Record, jitter: float = 0.0) -> Placing:
    records: Any = list(fleet)
    return Placing(records, PORTS, lambda _, port: port not in taken, lambda: jitter)


def places(made: Placing, keep: dict[str, Place] | None = None) -> dict[str, Place]:
    with made.placed(slot(), document(WANTED, port=0), keep) as (placed, _):
        return placed.placement


def test_every_listener_gets_a_free_port_and_keeps_its_address() -> None:
    assert places(placing({20000})) == {
        SERVER: Place("127.0.0.1", 8081, 20001),
        "sources/s": Place("127.0.0.1", 9000, 20002),
    }


def test_what_other_slots_have_is_not_given_again() -> None:
    other = record(slot=slot(placement={SERVER: Place("h", 1, 20000)}))
    assert {each.internal for each in places(placing(set(), other)).values()} == {20001, 20002}


def test_the_choice_begins_anywhere_and_goes_round() -> None:
    found = places(placing({20003}, jitter=0.8))
    assert {each.internal for each in found.values()} == {20000, 20001}


def test_what_stays_keeps_its_port() -> None:
    keep = {SERVER: Place("127.0.0.1", 8081, 20003)}
    assert places(placing(set()), keep)[SERVER].internal == 20003


def test_too_few_ports_are_told_with_their_setting() -> None:
    with pytest.raises(ProblemError, match="Slots:FirstPort") as refused:
        places(placing({20000, 20001, 20002}))
    assert refused.value.kind == "ports-exhausted"


def test_without_a_router_nothing_is_placed() -> None:
    fleet: Any = []
    with Placing(fleet, None, lambda *_: True, lambda: 0.0).placed(
        slot(), document(WANTED, port=0)
    ) as (placed, configuration):
        assert placed.placement == {}
        assert configuration["sources"] == WANTED["sources"]


@pytest.mark.parametrize(
    ("taken", "error"),
    [
        pytest.param(set(), LaunchError, id="its own fault"),
        pytest.param({20001}, OvertakenError, id="somebody was faster"),
    ],
)
async def test_a_start_that_fails_says_whether_its_ports_were_taken(
    taken: set[int], error: type[LaunchError]
) -> None:
    platform = SimulatedPlatform(SystemClock())
    platform.fail_launches("a", "address in use")
    started = slot(placement={SERVER: Place("h", 1, 20001)})
    launch = Launch("a", "main", document(WANTED, port=0).configuration, "127.0.0.1", 20001)
    with pytest.raises(LaunchError) as failed:
        await placing(taken).start(platform, launch, started)
    assert type(failed.value) is error
