"""Users of one instance: an open loop of reads and pushes, streams, and a webhook that counts."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.ports import free_port

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
    """Orders are pushed, summed up, and each one is told to a webhook and to who listens."""
    return {
        "port": free_port(),
        "sources": [{"id": "orders", "kind": "http", "host": "127.0.0.1", "port": free_port()}],
        "queries": [TOTALS, EACH],
        "reactions": [
            {"id": "told", "kind": "http", "queries": ["each"], "baseUrl": webhook},
            {"id": "log", "kind": "log", "queries": ["totals"]},
            {
                "id": "live",
                "kind": "sse",
                "queries": ["totals"],
                "host": "127.0.0.1",
                "port": free_port(),
            },
        ],
        **changes,
    }


def insertion(order: str, price: int) -> dict[str, Any]:
    """An order as a change."""
    element = {
        "type": "node",
        "id": order,
        "labels": ["Order"],
        "properties": {"id": order, "price": price},
    }
    return {"operation": "insert", "element": element}


@dataclass
class Told:
    """What a webhook was told: how often each order at each price."""

    url: str
    rows: Counter[tuple[str, int]] = field(default_factory=Counter)


@asynccontextmanager
async def webhook() -> AsyncIterator[Told]:
    """A receiver of webhooks on loopback."""
    port = free_port()
    told = Told(f"http://127.0.0.1:{port}")

    async def take(request: web.Request) -> web.Response:
        after = (await request.json()).get("after") or {}
        told.rows[str(after.get("id")), int(after.get("price", -1))] += 1
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
    """Asks a shop `rate` times a second, a push for every read, and listens to `streams` streams.

    Pushes go to the API and to the source's own address in turn; every third one gives an earlier
    order another price, once that one was answered. A stream that ends is opened again.

    `failed` are the requests that were not answered with 200, and why; `ends` when streams ended
    that were not told to; `changes` what was pushed and answered; `orders` the last price of each.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        document: dict[str, Any],
        rate: float,
        streams: int,
    ) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{document['port']}/api/v1"
        self._pushes = (
            f"{self._base}/sources/orders/push",
            f"http://127.0.0.1:{document['sources'][0]['port']}/sources/orders/events",
        )
        self._streams = (
            f"{self._base}/queries/totals/attach",
            f"http://127.0.0.1:{document['reactions'][2]['port']}/events",
        )
        self._listeners = streams
        self._pause = 1 / rate
        self._ending = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._answered: deque[str] = deque()
        self.failed: list[tuple[datetime, str]] = []
        self.ends: list[datetime] = []
        self.heard = 0
        self.reads = 0
        self.changes: list[tuple[str, int]] = []
        self.orders: dict[str, int] = {}

    async def run(self) -> None:
        """Until `end`; then until all that is under way is answered."""
        urls = [self._streams[n % len(self._streams)] for n in range(self._listeners)]
        listening = [asyncio.create_task(self._listen(url)) for url in urls]
        loop = asyncio.get_running_loop()
        at = loop.time()
        number = 0
        while not self._ending.is_set():
            task = asyncio.create_task(self._read() if number % 2 else self._push(number // 2))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
            at = max(at + self._pause, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, at - loop.time()))
        while self._under_way:
            await asyncio.wait(self._under_way)
        for listener in listening:
            listener.cancel()
        await asyncio.gather(*listening, return_exceptions=True)

    def end(self) -> None:
        """Ask no more."""
        self._ending.set()

    @property
    def totals(self) -> list[dict[str, int]]:
        """What the query must say of all that was answered."""
        return [{"orders": len(self.orders), "revenue": sum(self.orders.values())}]

    async def _read(self) -> None:
        url = f"{self._base}/queries/totals/results"
        if await self._ask("GET", url):
            self.reads += 1

    async def _push(self, number: int) -> None:
        again = number % 3 == 2 and len(self._answered) > 0
        order = self._answered.popleft() if again else f"o{number}"
        price = self.orders.get(order, 0) + 1 + number % 97
        url = self._pushes[number % len(self._pushes)]
        if await self._ask("POST", url, insertion(order, price)):
            self.changes.append((order, price))
            self.orders[order] = price
            self._answered.append(order)

    async def _ask(self, method: str, url: str, change: Any = None) -> bool:
        try:
            async with self._session.request(method, url, json=change) as answer:
                said = await answer.text()
                if answer.status == 200:
                    return True
                self._fail(f"{method} {url}: {answer.status} {said[:200]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._fail(f"{method} {url}: {error!r}")
        return False

    def _fail(self, why: str) -> None:
        self.failed.append((datetime.now(UTC), why))

    async def _listen(self, url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        while True:
            try:
                async with self._session.get(url, timeout=timeout) as answer:
                    if answer.status != 200:
                        self._fail(f"{url}: {answer.status}")
                    async for line in answer.content:
                        self.heard += line.startswith(b"data:")
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    self._fail(f"{url}: {error!r}")
            self.ends.append(datetime.now(UTC))


@asynccontextmanager
async def under_load(document: dict[str, Any], rate: float, streams: int) -> AsyncIterator[Load]:
    """The load on the shop while the block runs; after it everything is answered."""
    unlimited = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=unlimited, timeout=timeout) as session:
        load = Load(session, document, rate, streams)
        running = asyncio.create_task(load.run())
        try:
            yield load
        finally:
            load.end()
            await running
