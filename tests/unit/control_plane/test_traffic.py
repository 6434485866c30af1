"""Which routes follow from the records of slots."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import pytest

from draas.contract.slots import CANDIDATE
from draas.control_plane.records import SERVER, Place, Record, put
from draas.control_plane.router import Capabilities, Counters, Route, RouterError
from draas.control_plane.traffic import Traffic, routes_of
from tests.support.records import record, slot

API = {SERVER: Place("127.0.0.1", 8081, 20000)}
PUSHED = {"sources/s": Place("127.0.0.1", 9000, 20001)}


def split(main: int, second: int, **placement: Any) -> Record:
    inside = {
        SERVER: Place("127.0.0.1", 8081, 20002),
        "sources/s": PUSHED["sources/s"]._replace(internal=20003),
    }
    own = slot("main", weight=main, placement=API | PUSHED)
    other = slot("second", weight=second, placement=inside | placement)
    return put(record(slot=own), spare=other, second_slot=CANDIDATE)


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        pytest.param(
            record(slot=slot(placement=API | PUSHED)),
            {"a:8081": {"main": 100}, "a/sources/s:9000": {"main": 100}},
            id="one slot",
        ),
        pytest.param(
            split(75, 25),
            {"a:8081": {"main": 75, "second": 25}, "a/sources/s:9000": {"main": 100, "second": 0}},
            id="requests are split, pushes are not",
        ),
        pytest.param(
            split(0, 0),
            {"a:8081": {"main": 100, "second": 0}, "a/sources/s:9000": {"main": 100, "second": 0}},
            id="nobody's share is the serving slot's",
        ),
        pytest.param(record(slot=slot()), {}, id="without a router"),
        pytest.param(record(), {}, id="nothing runs"),
    ],
)
def test_shares(given: Record, weights: dict[str, dict[str, int]]) -> None:
    found = routes_of(given)
    assert {route.name: dict(route.weights) for route in found} == weights
    assert all(route.fault() is None for route in found)


def test_a_slot_that_moves_the_address_is_reached_at_both() -> None:
    moved = split(60, 40, **{SERVER: Place("127.0.0.1", 8082, 20002)})
    found = {route.name: route for route in routes_of(moved)}
    assert {"a:8081", "a:8082"} <= found.keys()
    assert found["a:8081"].backends == found["a:8082"].backends
    assert dict(found["a:8082"].weights) == {"main": 60, "second": 40}


def test_each_backend_is_the_slots_own_port() -> None:
    found = {route.name: route for route in routes_of(split(50, 50))}
    ports = {name: address.port for name, address in found["a/sources/s:9000"].backends.items()}
    assert ports == {"main": 20001, "second": 20003}


def test_what_is_pushed_is_copied_to_a_slot_that_cannot_follow() -> None:
    given = split(50, 50)
    assert given.slot is not None and given.spare is not None
    up = {"mirrored": True, "process_id": 7}
    mirrored = put(given, spare=msgspec.structs.replace(given.spare, **up))
    found = {route.name: route for route in routes_of(mirrored)}
    api, source = found["a:8081"], found["a/sources/s:9000"]
    assert (api.mirrors, api.pushes_to, dict(api.weights)) == (
        ("second",),
        "main",
        {"main": 50, "second": 50},
    )
    assert (source.mirrors, source.pushes_to) == (("second",), "")
    assert all(route.fault() is None for route in found.values())
    down = {"mirrored": True, "process_id": None}
    starting = put(given, spare=msgspec.structs.replace(given.spare, **down))
    assert not any(route.mirrors or route.pushes_to for route in routes_of(starting))
    without = put(mirrored, spare=msgspec.structs.replace(given.spare, **up, placement=API))
    assert not any(route.mirrors or route.pushes_to for route in routes_of(without))


class Draining:
    """A router whose routes have drained once as many as `together` drain at the same time."""

    kind = "draining"
    capabilities = Capabilities(
        opens_ports=True, counters=False, histogram=False, inflight=False, mirror=False
    )

    def __init__(self, together: int) -> None:
        self._barrier = asyncio.Barrier(together)
        self.live: dict[str, Route] = {}

    def unavailable(self) -> str | None:
        return None

    async def open(self, routes: Collection[Route]) -> Mapping[str, RouterError]:
        self.live = {route.name: route for route in routes}
        return {}

    async def ensure(self, route: Route, drain: float = 0.0) -> None:
        await self._barrier.wait()
        self.live[route.name] = route

    async def remove(self, name: str, drain: float = 0.0) -> None:
        await self._barrier.wait()
        del self.live[name]

    async def traffic(self, name: str) -> Mapping[str, Counters]:
        return {}

    async def close(self) -> None:
        return None


@pytest.mark.timeout(10)
async def test_all_routes_drain_at_the_same_time() -> None:
    router = Draining(together=3)
    traffic = Traffic(router)
    moved = split(60, 40, **{SERVER: Place("127.0.0.1", 8082, 20002)})
    await traffic.open([moved])
    after = put(moved, slot=slot("main", placement=API | PUSHED), spare=None)
    await traffic.direct(after, drain=30.0)
    assert router.live == {route.name: route for route in routes_of(after)}
