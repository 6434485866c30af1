"""Changing one query of a running server in place: nobody else notices, on real processes."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(120)
QUERIES = 50
HOT = ("--Reconciliation:DefaultStrategy=HotApply",)


def query(number: int, condition: str) -> dict[str, Any]:
    return {
        "id": f"q{number}",
        "query": f"MATCH (o:Order) WHERE {condition} RETURN o.id AS id",
        "queryLanguage": "Cypher",
        "sources": [{"sourceId": "orders"}],
    }


def orders() -> dict[str, Any]:
    return {
        "sources": [{"id": "orders", "kind": "http", "host": "127.0.0.1", "port": free_port()}],
        "queries": [query(number, f"o.price < {1000 + number}") for number in range(QUERIES)],
        "reactions": [{"id": "log", "kind": "log", "queries": ["q0"]}],
    }


class Pusher:
    """Pushes orders one after another until it is told to end."""

    def __init__(self, made: World, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.pushed = 0
        self._made = made
        self._ending = asyncio.Event()

    async def push(self) -> None:
        while not self._ending.is_set():
            order = {
                "operation": "insert",
                "element": {
                    "type": "node",
                    "id": f"o{self.pushed}",
                    "labels": ["Order"],
                    "properties": {"id": f"o{self.pushed}", "price": self.pushed % 900},
                },
            }
            await self._made._request("POST", f"{self.url}/sources/orders/push", order, 200)
            self.pushed += 1

    def end(self) -> None:
        self._ending.set()

    async def rows(self, name: str) -> set[str]:
        answer = await self._made._request("GET", f"{self.url}/queries/{name}/results", None, 200)
        return {row["id"] for row in answer["data"]}


async def test_one_of_fifty_queries_changes_and_no_other_loses_an_event(tmp_path: Path) -> None:
    async with world(tmp_path, settings=HOT) as made:
        await made.create("a", **orders())
        process = await made.process_of("a")
        pusher = Pusher(made, (await made.configuration("a"))["port"])
        pushing = asyncio.create_task(pusher.push())
        await eventually(lambda: _at_least(pusher, 50))
        text = query(7, "o.price < 100")["query"]
        await made.patch("a", {"op": "replace", "path": "/queries/7/query", "value": text})
        await eventually(lambda: made.settled("a"), within=30)
        so_far = pusher.pushed
        await eventually(lambda: _at_least(pusher, so_far + 50))
        pusher.end()
        await pushing
        everything = {f"o{number}" for number in range(pusher.pushed)}
        for number in range(QUERIES):
            if number != 7:
                await eventually(partial(_is, pusher, f"q{number}", everything))
        cheap = {f"o{number}" for number in range(pusher.pushed) if number % 900 < 100}
        await eventually(lambda: _is(pusher, "q7", cheap))
        assert await made.process_of("a") == process
        assert (await made.audit("a"))[-1]["action"] == "Reconciled using HotApply strategy"


async def test_a_changed_port_is_restarted_and_the_audit_says_why(tmp_path: Path) -> None:
    async with world(tmp_path, settings=HOT) as made:
        await made.create("a")
        port = free_port()
        await made.patch("a", {"op": "replace", "path": "/port", "value": port})
        await eventually(lambda: made.settled("a", port), within=30)

        async def told() -> str:
            return str((await made.audit("a"))[-1]["action"])

        await eventually(lambda: _succeeded(made))
        assert "using Restart strategy, because HotApply could not" in await told()
        assert "port" in await told()


async def _succeeded(made: World) -> bool:
    return (await made.outcomes("a"))[-1] == "succeeded"


async def _at_least(pusher: Pusher, number: int) -> bool:
    return pusher.pushed >= number


async def _is(pusher: Pusher, name: str, expected: set[str]) -> bool:
    return await pusher.rows(name) == expected
