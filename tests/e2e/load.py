"""Users of one instance: an open loop of reads and pushes, streams, and a webhook that counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.e2e.world import free_port

TOTALS = {
    "id": "totals",
    "query": "MATCH (o:Order) RETURN count(o) AS orders, sum(o.price) AS revenue",
    "queryLanguage": "Cypher",
    "sources": [{"sourceId": "orders"}],
}
EACH = {
    "id": "each",
    "query": "MATCH (o:Order) RETURN o.id AS id, o.price AS price",
    "queryLanguage": "Cypher",
    "sources": [{"sourceId": "orders"}],
}


def shop(webhook: str, **changes: Any) -> dict[str, Any]:
    """Orders are pushed, summed up, and each one is told to a webhook."""
    return {
        "sources": [{"id": "orders", "kind": "http", "host": "127.0.0.1", "port": free_port()}],
        "queries": [TOTALS, EACH],
        "reactions": [
            {"id": "told", "kind": "http", "queries": ["each"], "baseUrl": webhook},
            {"id": "log", "kind": "log", "queries": ["totals"]},
        ],
        **changes,
    }


@dataclass
class Told:
    """What a webhook was told: how often each order."""

    url: str
    orders: Counter[str] = field(default_factory=Counter)


@asynccontextmanager
async def webhook() -> AsyncIterator[Told]:
    """A receiver of webhooks on loopback."""
    port = free_port()
    told = Told(f"http://127.0.0.1:{port}")

    async def take(request: web.Request) -> web.Response:
        after = (await request.json()).get("after") or {}
        told.orders[str(after.get("id"))] += 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/{rest:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield told
    finally:
        await runner.cleanup()


class Load:
    """Asks `rate` times a second, a push for every read, and listens to `streams` streams.

    `failed` are the requests that were not answered with 200, `cut` the streams that ended before
    they were told to. Requests are bounded by `most`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        port: int,
        rate: float,
        streams: int,
        most: int = 30000,
    ) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{port}/api/v1"
        self._pause = 1 / rate
        self._most = most
        self._streams = streams
        self._ending = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self.failed: list[str] = []
        self.cut: list[str] = []
        self.heard = 0
        self.reads = 0
        self.pushed: dict[str, int] = {}

    async def run(self) -> None:
        """Until `end`; then until all that is under way is answered."""
        listening = [asyncio.create_task(self._listen(n)) for n in range(self._streams)]
        loop = asyncio.get_running_loop()
        at = loop.time()
        number = 0
        while not self._ending.is_set() and number < self._most:
            work = self._read() if number % 2 else self._push(f"o{number}", number % 97)
            task = asyncio.create_task(work)
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
            at = max(at + self._pause, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, at - loop.time()))
        while self._under_way:
            await asyncio.wait(self._under_way)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)

    def end(self) -> None:
        """Ask no more."""
        self._ending.set()

    async def _read(self) -> None:
        try:
            async with self._session.get(f"{self._base}/queries/totals/results") as answer:
                await answer.read()
                if answer.status != 200:
                    self.failed.append(f"read {answer.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed.append(f"read {error!r}")
        self.reads += 1

    async def _push(self, order: str, price: int) -> None:
        element = {
            "type": "node",
            "id": order,
            "labels": ["Order"],
            "properties": {"id": order, "price": price},
        }
        change = {"operation": "insert", "element": element}
        try:
            url = f"{self._base}/sources/orders/push"
            async with self._session.post(url, json=change) as answer:
                said = await answer.text()
                if answer.status != 200:
                    self.failed.append(f"push {answer.status} {said[:200]}")
                    return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed.append(f"push {error!r}")
            return
        self.pushed[order] = price

    async def _listen(self, number: int) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        url = f"{self._base}/queries/totals/attach"
        try:
            async with self._session.get(url, timeout=timeout) as answer:
                async for line in answer.content:
                    self.heard += line.startswith(b"data:")
            self.cut.append(f"stream {number} ended")
        except (aiohttp.ClientError, OSError) as error:
            self.cut.append(f"stream {number}: {error!r}")
