"""What every traffic router must do with routes, weights and drains, with real traffic.

A test class derives from the suite and gives it a `world`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
import pytest

from draas.control_plane.router import Address, Route, TrafficRouter
from tests.support.eventually import eventually
from tests.support.http_backends import Backend, Load


class World(Protocol):
    """A router, backends, and the means to do to them what only happens."""

    router: TrafficRouter

    async def backend(self, name: str, **delays: float) -> Backend: ...

    def free_port(self) -> int: ...

    async def lose_control_plane(self) -> None:
        """Replace `router` by a new one that knows nothing; the old one did not say good-bye."""

    async def kill_router(self) -> None:
        """Kill the process of the router."""


def route(world: World, *backends: Backend, **members: Any) -> Route:
    """A route to backends by name, all requests to the first one."""
    given: Mapping[str, Any] = {
        "name": "i1",
        "listen": Address("127.0.0.1", world.free_port()),
        "backends": {each.name: each.address for each in backends},
        "weights": {backends[0].name: 100},
    }
    return Route(**{**given, **members})


def url(route: Route) -> str:
    return f"http://{route.listen}"


async def get(route: Route, path: str = "/work") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{url(route)}{path}") as answer:
        return answer.status, await answer.text()


def answers(route: Route, expected: tuple[int, str]) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return await get(route) == expected

    return probe


def refused(route: Route) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        try:
            await get(route)
        except aiohttp.ClientConnectorError:
            return True
        return False

    return probe


class RoutingContract:
    async def test_a_route_opens_and_closes(self, world: World) -> None:
        wanted = route(world, await world.backend("main"))
        assert await world.router.open([]) == {}
        await world.router.ensure(wanted)
        assert await get(wanted) == (200, "main")
        await world.router.ensure(wanted)
        await world.router.remove("i1", drain=5)
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(wanted)
        await world.router.remove("i1")
        await world.router.ensure(wanted)
        assert await get(wanted) == (200, "main")

    async def test_an_address_may_have_the_name_of_a_host(self, world: World) -> None:
        main = await world.backend("main")
        named = route(world, main, listen=Address("localhost", world.free_port()))
        await world.router.ensure(named)
        assert await get(named) == (200, "main")

    async def test_weights_shift_without_a_failed_request(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        alone = route(world, main)
        both = replace(alone, backends={"main": main.address, "second": second.address})
        await world.router.ensure(alone)
        async with Load(url(alone)) as load:
            for _ in range(2):
                await load.more(20)
                await world.router.ensure(both)
                before = load.answers["second"]
                await load.more(30)
                assert load.answers["second"] == before
                for weights in ({"main": 75, "second": 25}, {"main": 1, "second": 99}):
                    await world.router.ensure(replace(both, weights=weights))
                    await load.more(40)
                await world.router.ensure(replace(both, weights={"second": 100}))
                await load.more(load.clients)
                before = load.answers["main"]
                await load.more(40)
                assert load.answers["main"] == before
                await world.router.ensure(alone, drain=5)
        assert load.failures == []
        assert load.answers["second"] > 70

    async def test_the_split_follows_the_weights(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, weights={"main": 3, "second": 1})
        await world.router.ensure(wanted)
        async with Load(url(wanted)) as load:
            await load.more(400)
        assert load.failures == []
        assert 0.15 < load.answers["second"] / load.count < 0.35

    async def test_a_new_route_touches_no_other(self, world: World) -> None:
        main, other = await world.backend("main"), await world.backend("other")
        wanted = route(world, main)
        await world.router.ensure(wanted)
        async with Load(url(wanted)) as load:
            for number in range(3):
                beside = route(world, other, name=f"i1{number}")
                await load.more(20)
                await world.router.ensure(beside)
                assert await get(beside) == (200, "other")
            await load.more(20)
            await world.router.remove("i11", drain=1)
            await load.more(20)
        assert load.failures == []
        assert set(load.answers) == {"main"}
        counted = (await world.router.traffic("i1"))["main"].requests
        # A reload loses what the old process counts at its end.
        assert counted == load.count or not world.router.capabilities.opens_ports
        assert 0 < counted <= load.count

    async def test_a_backend_that_moves(self, world: World) -> None:
        main, moved = await world.backend("main"), await world.backend("moved")
        wanted = route(world, main)
        await world.router.ensure(wanted)
        async with Load(url(wanted)) as load:
            await load.more(20)
            await world.router.ensure(replace(wanted, backends={"main": moved.address}))
            await load.more(20, of="moved")
            before = load.answers["main"]
            await load.more(20)
        assert load.failures == []
        assert load.answers["main"] == before

    async def test_an_address_that_moves(self, world: World) -> None:
        wanted = route(world, await world.backend("main"))
        await world.router.ensure(wanted)
        moved = replace(wanted, listen=Address("127.0.0.1", world.free_port()))
        await world.router.ensure(moved)
        assert await get(moved) == (200, "main")
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(wanted)

    @pytest.mark.parametrize("path", ["/held", "/events"], ids=["request", "stream"])
    async def test_a_drain_ends_with_what_is_in_flight(self, world: World, path: str) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        both = route(world, main, second, weights={"second": 100})
        await world.router.ensure(both)
        slow = asyncio.create_task(get(both, path))
        await second.held.acquire()
        alone = replace(both, backends={"main": main.address}, weights={"main": 100})
        drain = asyncio.create_task(world.router.ensure(alone, drain=30))
        await eventually(answers(both, (200, "main")))
        assert not drain.done()
        if world.router.capabilities.inflight:
            assert (await world.router.traffic("i1"))["main"].inflight == 0
        second.release.set()
        status, text = await slow
        assert (status, text[-5:]) == (200, "second"[-5:] if path == "/held" else " end\n\n"[-5:])
        await drain

    async def test_a_drain_ends_at_its_deadline_and_cuts_nothing(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        both = route(world, main, second, weights={"second": 100})
        await world.router.ensure(both)
        stream = asyncio.create_task(get(both, "/events"))
        await second.held.acquire()
        alone = replace(both, backends={"main": main.address}, weights={"main": 100})
        await world.router.ensure(alone, drain=0.3)
        assert not stream.done()
        assert set(await world.router.traffic("i1")) == {"main"}
        second.release.set()
        assert (await stream)[1].endswith("data: end\n\n")

    async def test_a_closed_route_lets_streams_end(self, world: World) -> None:
        main = await world.backend("main")
        wanted = route(world, main)
        await world.router.ensure(wanted)
        stream = asyncio.create_task(get(wanted, "/events"))
        await main.held.acquire()
        closing = asyncio.create_task(world.router.remove("i1", drain=30))
        await eventually(refused(wanted))
        main.release.set()
        assert (await stream)[1].endswith("data: end\n\n")
        await closing

    async def test_routes_open_at_once(self, world: World) -> None:
        main = await world.backend("main")
        routes = [route(world, main, name=f"i{number}") for number in range(12)]
        assert await world.router.open(routes) == {}
        assert {await get(each) for each in routes} == {(200, "main")}
        await asyncio.gather(*(world.router.remove(each.name, drain=1) for each in routes))
        for each in routes:
            with pytest.raises(aiohttp.ClientConnectorError):
                await get(each)

    async def test_health_by_connection_alone(self, world: World) -> None:
        main = await world.backend("main")
        wanted = route(world, main, health=None)
        await world.router.ensure(wanted)
        assert await get(wanted) == (200, "main")
        assert (await world.router.traffic("i1"))["main"].healthy is True
