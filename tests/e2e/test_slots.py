"""Two slots of one instance, through the control plane alone: real servers, real router."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import shop, webhook
from tests.e2e.world import World, free_port, world
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)


async def push(made: World, port: int, order: str, price: int) -> None:
    element = {
        "type": "node",
        "id": order,
        "labels": ["Order"],
        "properties": {"id": order, "price": price},
    }
    change = {"operation": "insert", "element": element}
    url = f"http://127.0.0.1:{port}/api/v1/sources/orders/push"
    await made._request("POST", url, change, 200)


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

        await eventually(summed, within=5)
        assert not list((tmp_path / "cp").rglob("*.ndjson"))
