"""Envoy keeps the contract of traffic routers, and what only it promises."""

from __future__ import annotations

import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from draas.adapters.routers.envoy import EnvoyRouter
from draas.adapters.routers.envoy_listeners import split_of
from draas.control_plane.router import Address, Route, RouterError
from tests.contract_suites.routing import RoutingContract, get, route, url
from tests.contract_suites.routing_counts import CountingContract
from tests.contract_suites.routing_faults import FaultContract
from tests.support.eventually import eventually
from tests.support.router_worlds import RouterWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RouterWorld]:
    world = RouterWorld(tmp_path / "router", EnvoyRouter)
    yield world
    await world.close()


class TestEnvoyRouting(RoutingContract):
    pass


class TestEnvoyCounts(CountingContract):
    pass


class TestEnvoyFaults(FaultContract):
    pass


async def test_nothing_runs_without_a_route(world: RouterWorld) -> None:
    assert await world.router.open([]) == {}
    assert not world.directory.exists()
    wanted = route(world, await world.backend("main"))
    await world.router.ensure(wanted)
    assert len(world.processes()) == 1
    await world.router.remove("i1", drain=0)
    assert world.processes() == []


async def test_files_are_for_their_owner_only(world: RouterWorld) -> None:
    await world.router.ensure(route(world, await world.backend("main")))
    modes = {
        path.relative_to(world.directory): stat.S_IMODE(path.stat().st_mode)
        for path in [world.directory, *world.directory.rglob("*")]
    }
    assert modes == {path: 0o600 if path.name else 0o700 for path in modes}
    assert len(modes) == 7


async def test_a_deep_directory(tmp_path: Path) -> None:
    world = RouterWorld(tmp_path.joinpath(*["deep" * 10] * 5), EnvoyRouter)
    try:
        wanted = route(world, await world.backend("main"))
        await world.router.ensure(wanted)
        assert await get(wanted) == (200, "main")
    finally:
        await world.close()


async def test_the_next_control_plane_has_the_same_process(world: RouterWorld) -> None:
    wanted = route(world, await world.backend("main"))
    await world.router.ensure(wanted)
    before = [each.pid for each in world.processes()]
    await get(wanted)
    await world.lose_control_plane()
    assert await world.router.open([wanted]) == {}
    assert [each.pid for each in world.processes()] == before
    assert (await world.router.traffic("i1"))["main"].requests == 1


async def test_one_that_was_started_otherwise_is_replaced(
    world: RouterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = route(world, await world.backend("main"))
    await world.router.ensure(wanted)
    before = [each.pid for each in world.processes()]
    await world.router.close()
    monkeypatch.setattr("draas.adapters.routers.envoy_process._CONNECTION_SECONDS", 599)
    await world.lose_control_plane()
    assert await world.router.open([wanted]) == {}
    after = [each.pid for each in world.processes()]
    assert len(after) == 1
    assert after != before
    assert await get(wanted) == (200, "main")


async def test_a_port_that_was_taken_while_it_was_dead(world: RouterWorld) -> None:
    wanted = route(world, await world.backend("main"))
    other = route(world, await world.backend("other"), name="i2")
    for each in (wanted, other):
        await world.router.ensure(each)
    await world.router.close()
    world.processes()[0].kill()
    with await eventually(lambda: held(wanted)):
        await world.lose_control_plane()
        failed = await world.router.open([wanted, other])
        assert list(failed) == ["i1"]
        assert await get(other) == (200, "other")
    await world.router.ensure(wanted)
    assert await get(wanted) == (200, "main")


async def held(route: Route) -> socket.socket:
    return socket.create_server((route.listen.host, route.listen.port))


@pytest.mark.parametrize("name", ["missing", "plain"])
async def test_a_program_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain").write_text("no program")
    program = str(tmp_path / name)
    world = RouterWorld(tmp_path / "router", lambda path: EnvoyRouter(path, program))
    wanted = route(world, await world.backend("main"))
    assert program in (world.router.unavailable() or "")
    with pytest.raises(RouterError, match=f"'{program}' is not there or not executable"):
        await world.router.ensure(wanted)
    await world.close()


async def test_a_program_that_ends_at_once_is_told_by_its_last_words_and_left_alone(
    tmp_path: Path,
) -> None:
    program = tmp_path / "envoy"
    program.write_text(
        f"#!/bin/sh\necho start >> {tmp_path}/starts\necho no libfoo >&2\nexit 127\n"
    )
    program.chmod(0o755)
    world = RouterWorld(tmp_path / "router", lambda path: EnvoyRouter(path, str(program)))
    wanted = route(world, await world.backend("main"))
    with pytest.raises(
        RouterError, match="ended with exit code 127 before it was ready: no libfoo"
    ):
        await world.router.ensure(wanted)
    assert (tmp_path / "starts").read_text() == "start\n"
    with pytest.raises(RouterError, match="no libfoo"):
        await world.router.open([wanted])
    assert world.processes() == []
    await world.close()


async def test_more_routes_than_the_system_has_watches(world: RouterWorld) -> None:
    """A user has 128 instances of inotify, as systems are delivered."""
    main = await world.backend("main")
    ports: set[int] = set()
    while len(ports) < 140:
        ports.add(world.free_port())
    routes = [
        route(world, main, name=f"i{port}", listen=Address("127.0.0.1", port)) for port in ports
    ]
    failed = await world.router.open(routes)
    assert len(failed) < 10, "other programs may take a port in between"
    opened = [each for each in routes if each.name not in failed]
    assert {await get(each) for each in opened} == {(200, "main")}


async def test_a_request_cannot_choose_its_route(world: RouterWorld) -> None:
    main, other = await world.backend("main"), await world.backend("other")
    one, two = route(world, main), route(world, other, name="i2")
    for each in (one, two):
        await world.router.ensure(each)
    headers = {"x-draas-route": split_of(two)["domains"][0], "host": "anything"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url(one)}/headers", headers=headers) as answer,
    ):
        told = await answer.json()
    assert told["x-backend"] == "main"
    assert told["host"] == "anything"
    assert "x-draas-route" not in told
