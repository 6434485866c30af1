"""Two slots of one instance, through the control plane alone: real servers, real router."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import insertion, shop, under_load, webhook
from tests.e2e.world import World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(120)


async def push(made: World, port: int, order: str, price: int) -> None:
    url = f"http://127.0.0.1:{port}/api/v1/sources/orders/push"
    await made._request("POST", url, insertion(order, price), 200)


async def totals(made: World, port: int) -> list[Any]:
    url = f"http://127.0.0.1:{port}/api/v1/queries/totals/results"
    found: list[Any] = (await made._request("GET", url, None, 200))["data"]
    return found


async def test_a_restart_keeps_what_was_pushed(tmp_path: Path) -> None:
    port = free_port()
    async with webhook() as told, world(tmp_path, daemon=False) as made:
        await made.create("shop", **shop(told.url, port=port))
        for number in range(5):
            await push(made, port, f"o{number}", 10)
        before = await made.process_of("shop")
        await made.ask("POST", "/api/servers/instances/shop/restart", None, 200)
        assert await made.process_of("shop") != before
        assert await totals(made, port) == [{"orders": 5, "revenue": 50}]
        await push(made, port, "o5", 7)

        async def summed() -> bool:
            return await totals(made, port) == [{"orders": 6, "revenue": 57}]

        await eventually(summed, within=20)
        assert not list((tmp_path / "cp").rglob("*.ndjson"))


async def slots(made: World) -> dict[str, dict[str, Any]]:
    found = await made.ask("GET", "/api/servers/instances/shop/slots", None, 200)
    return {slot["name"]: slot for slot in found["slots"]}


async def test_a_second_slot_is_opened_switched_to_and_back_under_load(tmp_path: Path) -> None:
    port = free_port()
    base = "/api/servers/instances/shop"
    async with webhook() as told, world(tmp_path, daemon=False) as made:
        document = shop(told.url, port=port)
        await made.create("shop", **document)
        for number in range(5):
            await push(made, port, f"before{number}", 1)
        async with under_load(document, rate=100, streams=3) as load:

            async def busy() -> bool:
                return load.reads > 20

            await eventually(busy, within=30)
            desired = await made.configuration("shop")
            candidate = {**desired, "logLevel": "debug"}
            plan = await made.ask("POST", f"{base}/slots/plan", {"configuration": candidate}, 200)
            assert plan == {"possible": True, "reasons": [], "losses": []}
            opened = await made.ask("POST", f"{base}/slots", {"configuration": candidate}, 201)
            assert (opened["name"], opened["role"], opened["weight"]) == ("second", "candidate", 0)
            assert opened["handover"]["role"] == "follower"
            for weight in (25, 50):
                weights = {"main": 100 - weight, "second": weight}
                await made.ask("PUT", f"{base}/traffic", {"weights": weights}, 200)
                before = (await made.ask("GET", f"{base}/traffic", None, 200))["slots"]["second"]

                async def its_share(before: dict[str, Any] = before) -> bool:
                    after = (await made.ask("GET", f"{base}/traffic", None, 200))["slots"]["second"]
                    return bool(after["requests"] > before["requests"] + 10)

                await eventually(its_share, within=30)
            parity = await made.ask("GET", f"{base}/parity", None, 200)
            assert {each["id"]: each["same"] for each in parity["queries"]} == {
                "each": True,
                "totals": True,
            }
            for name in ("second", "main", "second"):
                other = "main" if name == "second" else "second"
                await made.ask("POST", f"{base}/slots/{name}/switch", None, 200)
                found = await slots(made)
                assert (found[name]["role"], found[other]["role"]) == ("serving", "retired")
                assert (found[name]["handover"]["role"], found[other]["handover"]["role"]) == (
                    "leader",
                    "follower",
                )
            await made.ask("DELETE", f"{base}/slots/main?drainSeconds=5", None, 204)
            assert list(await slots(made)) == ["second"]
        assert load.failed == []
        before = {(f"before{number}", 1) for number in range(5)}

        async def all_there() -> bool:
            orders = len(load.orders) + len(before)
            return await totals(made, port) == [
                {"orders": orders, "revenue": sum(load.orders.values()) + len(before)}
            ]

        await eventually(all_there, within=30)
        expected = [*before, *load.changes]

        async def all_told() -> bool:
            return told.rows.total() >= len(expected)

        await eventually(all_told, within=30)
        assert told.rows == dict.fromkeys(expected, 1)


async def test_a_candidate_that_died_loses_its_share_of_the_traffic(tmp_path: Path) -> None:
    base = "/api/servers/instances/shop"
    async with webhook() as told, world(tmp_path, daemon=False) as made:
        await made.create("shop", **shop(told.url))
        candidate = {**await made.configuration("shop"), "logLevel": "debug"}
        opened = await made.ask("POST", f"{base}/slots", {"configuration": candidate}, 201)
        weights = {"main": 50, "second": 50}
        await made.ask("PUT", f"{base}/traffic", {"weights": weights}, 200)
        os.kill(int(opened["processId"]), signal.SIGKILL)

        async def noticed() -> bool:
            return (await slots(made))["second"]["processId"] is None

        await eventually(noticed)
        weights = {"main": 100, "second": 0}
        await made.ask("PUT", f"{base}/traffic", {"weights": weights}, 200)
        weights = {"main": 0, "second": 100}
        refused = await made.ask("PUT", f"{base}/traffic", {"weights": weights}, 404)
        assert refused["type"] == "urn:draas:problem:slot-not-found"
