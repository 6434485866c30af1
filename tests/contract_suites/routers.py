"""What every traffic router must do, with real traffic; a test class gives the suite a `world`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
import pytest

from draas.control_plane.router import Address, Counters, Route, RouterError, TrafficRouter
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


class RouterContract:
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

    async def test_a_dead_backend_fails_no_request_and_is_seen(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, weights={"main": 50, "second": 50})
        await world.router.ensure(wanted)
        async with Load(url(wanted), clients=4) as load:
            await load.more(40, of="second")
            await second.stop()
            await load.more(200)
            counters = (await world.router.traffic("i1"))["second"]
        # One that was on its way into the grave may fail: it must not be sent twice.
        assert len(load.failures) <= 1
        assert counters.retries > 0
        await eventually(unhealthy(world, "second"), within=15)
        assert (await world.router.traffic("i1"))["main"].healthy is True
        await second.start()
        async with Load(url(wanted)) as load:
            await load.more(20, of="second")

    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_what_was_sent_is_not_sent_again(self, world: World, method: str) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, weights={"main": 50, "second": 50})
        await world.router.ensure(wanted)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{url(wanted)}/hangup") as answer,
        ):
            assert answer.status in (502, 503)
        assert len(main.bodies) + len(second.bodies) == 1
        assert sum(each.errors for each in (await world.router.traffic("i1")).values()) == 1

    async def test_all_backends_dead_is_an_error_and_then_is_not(self, world: World) -> None:
        main = await world.backend("main")
        wanted = route(world, main)
        await world.router.ensure(wanted)
        assert await get(wanted) == (200, "main")
        await main.stop()
        assert (await get(wanted))[0] == 503
        assert (await world.router.traffic("i1"))["main"].errors == 1
        await main.start()
        await eventually(answers(wanted, (200, "main")))

    async def test_a_backend_that_is_not_there_yet(self, world: World) -> None:
        main = await world.backend("main")
        wanted = route(world, main)
        await main.stop()
        await world.router.ensure(wanted)
        assert (await get(wanted))[0] == 503
        await main.start()
        await eventually(answers(wanted, (200, "main")))

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

    async def test_large_bodies_arrive_whole(self, world: World) -> None:
        main = await world.backend("main")
        wanted = route(world, main)
        await world.router.ensure(wanted)
        body = b"0123456789abcdef" * 500_000
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url(wanted)}/work", data=body) as answer,
        ):
            assert answer.status == 200
        assert main.bodies == [body]

    async def test_mirrors_get_every_request_whole(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, mirrors=("second",))
        if not world.router.capabilities.mirror:
            with pytest.raises(RouterError, match="mirror"):
                await world.router.ensure(wanted)
            return
        await world.router.ensure(wanted)
        bodies = [bytes([number]) * 60_000 * (number + 1) for number in range(30)]
        async with aiohttp.ClientSession() as session:
            for body in bodies:
                async with session.post(f"{url(wanted)}/work", data=body) as answer:
                    assert await answer.text() == "main"
        await eventually(lambda: truth(len(second.bodies) == len(bodies)))
        assert main.bodies == bodies
        assert sorted(second.bodies) == bodies
        assert (await world.router.traffic("i1"))["second"].mirror_failures == 0
        await second.stop()
        assert await get(wanted) == (200, "main")
        await eventually(lambda: mirror_failures(world))
        counters = await world.router.traffic("i1")
        assert (counters["second"].requests, counters["main"].errors) == (0, 0)

    async def test_counters_tell_the_truth(self, world: World) -> None:
        main = await world.backend("main", slow=0.12)
        wanted = route(world, main)
        await world.router.ensure(wanted)
        async with aiohttp.ClientSession() as session:
            for path in [*["/work"] * 16, *["/slow"] * 4, "/status/500", "/status/404"]:
                async with session.get(f"{url(wanted)}{path}"):
                    pass
        held = asyncio.create_task(get(wanted, "/held"))
        await main.held.acquire()
        counters = (await world.router.traffic("i1"))["main"]
        can = world.router.capabilities
        assert (counters.requests, counters.errors, counters.retries) == (22, 1, 0)
        classes = {code[0]: count for code, count in counters.codes.items()}
        assert classes == {"2": 20, "4": 1, "5": 1}
        assert counters.healthy is True
        assert counters.inflight == (1 if can.inflight else None)
        main.release.set()
        await held
        if can.histogram:
            latency = await eventually(lambda: latencies(world, 23))
            assert quantile(latency, 0.5) <= 64
            assert 100 < quantile(latency, 0.9) <= 200
        else:
            assert counters.latency == ()

    async def test_counters_of_no_route(self, world: World) -> None:
        with pytest.raises(RouterError, match="'nothing'"):
            await world.router.traffic("nothing")

    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            pytest.param({"weights": {"main": 0}}, "no backend .* has a weight", id="all zero"),
            pytest.param({"weights": {}}, "no backend .* has a weight", id="none"),
            pytest.param({"weights": {"main": 1, "x": 1}}, "no backend 'x'", id="unknown"),
            pytest.param({"weights": {"main": -1}}, "negative", id="negative"),
            pytest.param({"mirrors": ("x",)}, "no backend 'x'", id="unknown mirror"),
            pytest.param({"mirrors": ("main",)}, "twice", id="mirror with weight"),
            pytest.param({"listen": Address("127.0.0.1", 65536)}, "no address", id="no port"),
        ],
    )
    async def test_nonsense_is_refused(
        self, world: World, members: dict[str, Any], reason: str
    ) -> None:
        wanted = route(world, await world.backend("main"))
        await world.router.ensure(wanted)
        with pytest.raises(RouterError, match=reason):
            await world.router.ensure(replace(wanted, **members))
        assert await get(wanted) == (200, "main")

    async def test_a_taken_port_is_told_and_hurts_nobody(self, world: World) -> None:
        main = await world.backend("main")
        wanted = route(world, main)
        await world.router.ensure(wanted)
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            taken = replace(wanted, name="i2", listen=Address("127.0.0.1", port))
            async with Load(url(wanted)) as load:
                await load.more(10)
                with pytest.raises(RouterError, match=f"port {port} on 127.0.0.1 is in use"):
                    await world.router.ensure(taken)
                beside = route(world, main, name="i3")
                await world.router.ensure(beside)
                await load.more(10)
            assert load.failures == []
            assert await get(beside) == (200, "main")
        await world.router.ensure(taken)
        assert await get(taken) == (200, "main")

    @pytest.mark.parametrize(
        "name",
        [
            "a:b.c",
            "a/sources/b c",
            "ä€😀",
            "%",
            "..",
            "_2E",
            "a" * 128,
            "😀" * 128,
            "\"\\{$}'#;~!@^",
        ],
        ids=lambda name: name[:8].encode("unicode_escape").decode(),
    )
    async def test_names_of_every_kind(self, world: World, name: str) -> None:
        main, second = await world.backend("main"), await world.backend(name)
        wanted = route(world, second, main, name=name, weights={name: 1, "main": 1})
        await world.router.ensure(wanted)
        assert {(await get(wanted))[0] for _ in range(5)} == {200}
        counters = await world.router.traffic(name)
        assert sum(each.requests for each in counters.values()) == 5
        await world.router.remove(name, drain=1)

    async def test_names_that_look_alike_are_two(self, world: World) -> None:
        dot, colon = await world.backend("dot"), await world.backend("colon")
        one, other = route(world, dot, name="a.b"), route(world, colon, name="a:b")
        await world.router.ensure(one)
        await world.router.ensure(other)
        assert [await get(each) for each in (one, other)] == [(200, "dot"), (200, "colon")]
        assert (await world.router.traffic("a.b"))["dot"].requests == 1

    async def test_the_next_control_plane_takes_over(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, weights={"main": 50, "second": 50})
        orphan = route(world, main, name="orphan")
        for each in (wanted, orphan):
            await world.router.ensure(each)
        async with Load(url(wanted)) as load:
            await load.more(20)
            await world.lose_control_plane()
            await load.more(20)
            assert await world.router.open([wanted]) == {}
            await load.more(20)
            await world.router.ensure(replace(wanted, weights={"second": 1}))
            await load.more(load.clients)
            before = load.answers["main"]
            await load.more(30)
        assert load.failures == []
        assert load.answers["main"] == before
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(orphan)
        assert set(await world.router.traffic("i1")) == {"main", "second"}

    async def test_opening_tells_what_cannot_be_opened(self, world: World) -> None:
        main = await world.backend("main")
        good = route(world, main, name="good")
        with socket.create_server(("127.0.0.1", 0)) as holder:
            port = holder.getsockname()[1]
            bad = replace(good, name="bad", listen=Address("127.0.0.1", port))
            failed = await world.router.open([bad, good])
        assert list(failed) == ["bad"]
        assert f"port {port} on 127.0.0.1 is in use" in failed["bad"].reason
        assert await get(good) == (200, "main")

    async def test_a_killed_router_comes_back_with_all_routes(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        one = route(world, main)
        two = route(world, main, second, name="i2", weights={"second": 1})
        for each in (one, two):
            await world.router.ensure(each)
        await world.kill_router()
        await eventually(answers(one, (200, "main")))
        await eventually(answers(two, (200, "second")))
        await world.router.ensure(replace(two, weights={"main": 1}))
        assert await get(two) == (200, "main")
        assert (await world.router.traffic("i2"))["second"].requests >= 1

    async def test_an_adopted_router_comes_back_as_well(self, world: World) -> None:
        wanted = route(world, await world.backend("main"))
        await world.router.ensure(wanted)
        await world.lose_control_plane()
        assert await world.router.open([wanted]) == {}
        await world.kill_router()
        await eventually(answers(wanted, (200, "main")))
        await world.router.ensure(wanted)

    async def test_a_change_in_the_middle_of_a_death(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second)
        await world.router.ensure(wanted)
        await world.kill_router()
        await world.router.ensure(replace(wanted, weights={"second": 1}))
        await eventually(answers(wanted, (200, "second")))

    async def test_an_address_belongs_to_one_route(self, world: World) -> None:
        main = await world.backend("main")
        one = route(world, main, name="one")
        other = replace(one, name="other")
        failed = await world.router.open([one, other])
        assert len(failed) == 1
        assert await get(one) == (200, "main")
        with pytest.raises(RouterError, match="in use"):
            await world.router.ensure(next(each for each in (one, other) if each.name in failed))

    async def test_routes_open_at_once(self, world: World) -> None:
        main = await world.backend("main")
        routes = [route(world, main, name=f"i{number}") for number in range(12)]
        assert await world.router.open(routes) == {}
        assert {await get(each) for each in routes} == {(200, "main")}
        await asyncio.gather(*(world.router.remove(each.name, drain=1) for each in routes))
        for each in routes:
            with pytest.raises(aiohttp.ClientConnectorError):
                await get(each)


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


def unhealthy(world: World, backend: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return (await world.router.traffic("i1"))[backend].healthy is False

    return probe


async def truth(value: bool) -> bool:
    return value


async def mirror_failures(world: World) -> bool:
    return (await world.router.traffic("i1"))["second"].mirror_failures == 1


async def latencies(world: World, count: int) -> Counters | None:
    counters = (await world.router.traffic("i1"))["main"]
    return counters if counters.latency and counters.latency[-1] == (None, count) else None


def quantile(counters: Counters, share: float) -> float:
    """The upper bound of the bucket that a quantile lies in."""
    total = counters.latency[-1][1]
    found = next(bound for bound, count in counters.latency if count >= share * total)
    return float("inf") if found is None else found
