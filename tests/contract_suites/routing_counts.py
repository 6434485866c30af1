"""What every traffic router must tell of the requests that it passed on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from draas.control_plane.router import Counters, RouterError
from tests.contract_suites.routing import World, get, route, url
from tests.support.eventually import eventually


class CountingContract:
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

    async def test_pushes_go_to_one_backend_and_are_mirrored(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, mirrors=("second",), pushes_to="main")
        wanted = replace(wanted, weights={"main": 50, "second": 50})
        if not world.router.capabilities.mirror:
            with pytest.raises(RouterError, match="mirror"):
                await world.router.ensure(wanted)
            return
        await world.router.ensure(wanted)
        bodies = [b"%02d" % number for number in range(40)]
        async with aiohttp.ClientSession() as session:
            for number, body in enumerate(bodies):
                prefix = "/instances/a" if number % 2 else ""
                push = f"{url(wanted)}/api/v1{prefix}/sources/s/push?x=1"
                async with session.post(push, data=body) as answer:
                    assert await answer.text() == "main"
            await eventually(lambda: truth(len(second.bodies) == len(bodies)))
            assert (main.bodies, sorted(second.bodies)) == (bodies, bodies)
            said = {(await get(wanted))[1] for _ in range(40)}
            async with session.post(f"{url(wanted)}/api/v1/queries", data=b"once"):
                pass
            assert said == {"main", "second"}
            assert (main.bodies + second.bodies).count(b"once") == 1
            assert (await world.router.traffic("i1"))["second"].mirror_failures == 0
            await second.stop()
            async with session.post(f"{url(wanted)}/api/v1/sources/s/push", data=b"x") as answer:
                assert await answer.text() == "main"
            await eventually(lambda: mirror_failures(world))

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
            assert latency is not None
            assert quantile(latency, 0.5) <= 64
            assert 100 < quantile(latency, 0.9) <= 200
        else:
            assert counters.latency == ()

    async def test_counters_of_no_route(self, world: World) -> None:
        with pytest.raises(RouterError, match="'nothing'"):
            await world.router.traffic("nothing")

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

    @pytest.mark.parametrize("names", [("a.b", "a:b"), ("ab", "AB"), ("a", "a/b")], ids=str)
    async def test_names_that_look_alike_are_two(
        self, world: World, names: tuple[str, str]
    ) -> None:
        backends = [await world.backend("first"), await world.backend("other")]
        routes = [
            route(world, backend, name=name) for name, backend in zip(names, backends, strict=True)
        ]
        for each in routes:
            await world.router.ensure(each)
        assert [await get(each) for each in routes] == [(200, "first"), (200, "other")]
        assert (await world.router.traffic(names[0]))["first"].requests == 1
        await world.router.remove(names[0], drain=0)
        assert await get(routes[1]) == (200, "other")


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
