"""Two control planes over one PostgreSQL: one sequence, one owner and one call an instance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from draas.control_plane import hosts
from draas.testing.simulated_platform import SimulatedFleet
from tests.support.control_plane import World, served
from tests.support.eventually import eventually


class Pair:
    """Control planes `a` and `b`, each with servers of its own."""

    def __init__(self, data: Path, url: str) -> None:
        self._data, self._url = data, url
        self._stacks: dict[str, AsyncExitStack] = {}
        self.a: World
        self.b: World

    async def open(self, name: str, fleet: SimulatedFleet | None = None) -> World:
        stack = self._stacks[name] = AsyncExitStack()
        (data := self._data / name).mkdir(exist_ok=True)
        made = await stack.enter_async_context(served(data, fleet, url=self._url, host=name))
        setattr(self, name, made)
        return made

    async def close(self, name: str) -> None:
        await self._stacks.pop(name).aclose()

    async def meet(self) -> None:
        """Wait until both know each other."""
        await eventually(self._have_met)

    async def _have_met(self) -> bool:
        return all([await alive(each) == {"a": True, "b": True} for each in (self.a, self.b)])

    async def close_all(self) -> None:
        for name in list(self._stacks):
            await self.close(name)


async def alive(world: World) -> dict[str, bool]:
    found = (await world.client.get("/api/control-plane/replicas")).json()["replicas"]
    return {each["id"]: each["alive"] for each in found}


@pytest.fixture
async def pair(tmp_path: Path, postgres_url: str) -> AsyncIterator[Pair]:
    made = Pair(tmp_path, postgres_url)
    try:
        await asyncio.gather(made.open("a"), made.open("b"))
        await made.meet()
        yield made
    finally:
        await made.close_all()


START = "/api/servers/instances/{}/start"


async def order(world: World, action: str, instance_id: str = "i", **headers: str) -> Any:
    path = f"/api/servers/instances/{instance_id}/{action}"
    return await world.client.post(
        path, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


async def rename(world: World, level: str, instance_id: str = "i") -> Any:
    patch = [{"op": "replace", "path": "/logLevel", "value": level}]
    path = f"/api/configuration/instances/{instance_id}"
    return await world.client.patch(path, json=patch)


async def test_what_one_answered_the_other_knows_at_once(pair: Pair) -> None:
    await pair.a.create(id="i")
    assert (await pair.b.state("i"))["status"] == "Created"
    assert (await rename(pair.b, "debug")).status_code == 202
    assert (await pair.a.state("i"))["generation"] == 2
    document = await pair.a.client.get("/api/configuration/instances/i")
    assert document.json()["logLevel"] == "debug"
    listed = [
        (await each.client.get("/api/servers/instances?view=state")) for each in (pair.a, pair.b)
    ]
    assert listed[0].content == listed[1].content


async def test_writers_at_once_make_one_sequence_without_a_hole(pair: Pair) -> None:
    cursor = await pair.a.cursor()
    worlds = (pair.a, pair.b)
    made = [worlds[n % 2].create(id=f"i{n}") for n in range(40)]
    ports = {each["id"]: each for each in await asyncio.gather(*made)}
    assert len(ports) == 40
    levels = ("debug", "warn", "error", "info", "trace")
    answers = await asyncio.gather(
        *(rename(world, level, "i0") for level in levels for world in worlds)
    )
    assert {each.status_code for each in answers} == {202}
    for world in worlds:
        page = await world.changes(cursor)
        sequences = [each["sequence"] for each in page["changes"]]
        first = sequences[0]
        assert sequences == list(range(first, first + len(sequences)))
        assert page["gap"] is False
    history = (await pair.a.client.get("/api/configuration/instances/i0/history")).json()
    numbers = [each["generation"] for each in history]
    assert numbers == list(range(len(numbers), 0, -1))


async def test_ports_are_given_once(pair: Pair) -> None:
    made = [(pair.a, pair.b)[n % 2].create(id=f"i{n}") for n in range(30)]
    await asyncio.gather(*made)
    documents = [
        (await pair.a.client.get(f"/api/configuration/instances/i{n}")).json() for n in range(30)
    ]
    assert len({each["port"] for each in documents}) == 30


async def test_a_change_wakes_those_who_wait_at_the_other(pair: Pair) -> None:
    cursor = await pair.b.cursor()
    waiting = asyncio.create_task(pair.b.changes(cursor, wait=20))
    await pair.a.create(id="i")
    async with asyncio.timeout(10):
        assert [each["kind"] for each in (await waiting)["changes"]] == ["Created"]


async def test_a_cursor_of_one_counts_at_the_other(pair: Pair) -> None:
    await pair.a.create(id="i")
    cursor = await pair.a.cursor()
    page = await pair.b.changes(cursor)
    assert (page["gap"], page["changes"], page["cursor"]) == (False, [], cursor)


async def test_an_instance_is_run_by_who_was_asked_and_asked_of_it_from_then_on(pair: Pair) -> None:
    await pair.a.create(id="i")
    assert (await order(pair.b, "start")).json()["changed"] is True
    process = pair.b.platform.fleet.servers["i"]["main"].running.process_id
    again = (await order(pair.a, "start")).json()
    assert (again["changed"], again["processId"]) == (False, str(process))
    assert pair.a.platform.fleet.servers == {}
    assert (await pair.a.client.get("/api/status/i/status")).json()["hostId"] == "b"
    seen = await pair.a.client.get("/api/servers/instances/i/observed")
    assert seen.status_code == 200
    stopped = await order(pair.a, "stop")
    assert (stopped.status_code, stopped.json()["changed"]) == (200, True)
    assert pair.b.platform.fleet.servers == {}
    assert (await order(pair.a, "start")).json()["changed"] is True
    assert set(pair.a.platform.fleet.servers) == {"i"}
    assert pair.b.platform.fleet.servers == {}


async def test_a_problem_comes_back_as_it_is(pair: Pair) -> None:
    await pair.a.create(id="i")
    await order(pair.b, "start", Draas_Fence="7")
    refused = await order(pair.a, "stop", Draas_Fence="6")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:draas:problem:stale-fence")
    assert refused.json()["highest"] == 7


async def test_two_starts_at_once_run_one_server(pair: Pair) -> None:
    for n in range(10):
        name = f"i{n}"
        await pair.a.create(id=name)
        answers = await asyncio.gather(*(order(each, "start", name) for each in (pair.a, pair.b)))
        assert {each.status_code for each in answers} <= {200, 409}
        owners = [each for each in (pair.a, pair.b) if name in each.platform.fleet.servers]
        assert len(owners) == 1


async def test_a_repeated_call_is_answered_once_wherever_it_is_made(pair: Pair) -> None:
    await pair.a.create(id="i")
    first = await order(pair.b, "start", Idempotency_Key="k")
    await order(pair.a, "stop")
    again = await order(pair.a, "start", Idempotency_Key="k")
    assert again.json() == first.json()
    assert (await pair.a.state("i"))["status"] == "Stopped"


async def test_a_deletion_is_carried_out_where_it_runs(pair: Pair) -> None:
    await pair.a.create(id="i")
    await order(pair.b, "start")
    assert (await pair.a.client.delete("/api/servers/instances/i")).status_code == 204
    assert pair.b.platform.fleet.servers == {}
    assert (await pair.b.client.get("/api/servers/instances/i")).status_code == 404


async def test_each_looks_at_its_own_servers_only(pair: Pair) -> None:
    await _running_at_b(pair)
    pair.b.platform.crash("i")
    await eventually(lambda: _is(pair.a, status="Error"))


async def _running_at_b(pair: Pair) -> None:
    await pair.a.create(id="i")
    await order(pair.b, "start")
    await eventually(lambda: _is(pair.a, health="Healthy"))


async def _is(world: World, **levels: str | None) -> bool:
    found = await world.state("i")
    return all(found[name] == value for name, value in levels.items())


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are given up on quickly."""
    monkeypatch.setattr(hosts, "TTL_SECONDS", 1.0)
    monkeypatch.setattr(hosts, "BEAT_SECONDS", 0.2)


@pytest.mark.usefixtures("hasty")
async def test_of_what_a_host_ran_that_is_gone_nobody_knows(pair: Pair) -> None:
    await _running_at_b(pair)
    fleet = pair.b.platform.fleet
    await pair.close("b")
    refused = await order(pair.a, "stop")
    assert (refused.status_code, refused.json()["type"]) == (
        503,
        "urn:draas:problem:host-unreachable",
    )
    assert refused.json()["host"] == "b"
    await eventually(lambda: _is(pair.a, status="Unknown", health="Unknown"))
    found = await pair.a.state("i")
    assert "not heard of: b" in found["reason"]
    assert found["observedComponentsDigest"] is None
    assert found["appliedGeneration"] == 1
    assert (await alive(pair.a)) == {"a": True, "b": False}
    assert (await order(pair.a, "stop")).json()["host"] == "b"
    assert set(fleet.servers) == {"i"}


@pytest.mark.usefixtures("hasty")
async def test_a_host_that_never_comes_back_can_be_given_up(pair: Pair) -> None:
    await pair.a.create(id="i")
    await order(pair.b, "start")
    path = "/api/control-plane/replicas/b"
    refused = await pair.a.client.delete(path)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:draas:problem:host-alive")
    await pair.close("b")
    await eventually(lambda: _is(pair.a, status="Unknown"))
    assert (await pair.a.client.delete(path)).status_code == 204
    assert await _is(pair.a, status="Error", reason="its host b was given up")
    assert (await order(pair.a, "start")).status_code == 200
    assert set(pair.a.platform.fleet.servers) == {"i"}
    assert (await pair.a.client.delete(path)).status_code == 404


@pytest.mark.usefixtures("hasty")
async def test_what_was_deleted_while_its_host_was_away_ends_when_that_is_back(pair: Pair) -> None:
    await _running_at_b(pair)
    fleet = pair.b.platform.fleet
    await pair.close("b")
    await eventually(lambda: _is(pair.a, status="Unknown"))
    path = "/api/control-plane/replicas/b"
    assert (await pair.a.client.delete(path)).status_code == 204
    assert (await pair.a.client.delete("/api/servers/instances/i")).status_code == 204
    assert set(fleet.servers) == {"i"}
    await pair.open("b", fleet)

    async def ended() -> bool:
        return not fleet.servers.get("i")

    await eventually(ended)
