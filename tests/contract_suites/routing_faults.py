"""What every traffic router must do when something dies, is taken, or makes no sense."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from draas.control_plane.router import Address, RouterError
from tests.contract_suites.routing import World, answers, get, route, url
from tests.support.eventually import eventually
from tests.support.http_backends import Load


class FaultContract:
    async def test_a_dead_backend_fails_no_request_and_is_seen(self, world: World) -> None:
        main, second = await world.backend("main"), await world.backend("second")
        wanted = route(world, main, second, weights={"main": 50, "second": 50})
        await world.router.ensure(wanted)
        async with Load(url(wanted), clients=4) as load:
            await load.more(40, of="second")
            await second.stop()
            await load.more(200)
            counters = (await world.router.traffic("i1"))["second"]
        # What a client had on its way into the grave may fail: it must not be sent twice.
        assert len(load.failures) <= load.clients
        # Where a health check was quicker than any request, none had to be sent again.
        assert counters.retries > 0 or counters.healthy is False
        await eventually(unhealthy(world, "second"), within=15)
        assert (await world.router.traffic("i1"))["main"].healthy is True
        await second.start()
        async with Load(url(wanted)) as load:
            await load.more(20, of="second")

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
        # By the new one: the killed one may have answered to its end, and took its counts along.
        assert (await world.router.traffic("i2"))["main"].requests >= 1

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


def unhealthy(world: World, backend: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return (await world.router.traffic("i1"))[backend].healthy is False

    return probe
