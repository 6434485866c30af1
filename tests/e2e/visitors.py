"""A few users of one instance, through its own address, whatever happens behind that."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.ports import free_port

RATE = 60.0


def guest_book(told: str, port: int) -> dict[str, Any]:
    """Entries are pushed, kept by a query, and each one is told to a webhook."""
    query = {
        "id": "entries",
        "query": "MATCH (e:Entry) RETURN e.number AS number",
        "queryLanguage": "Cypher",
        "sources": [{"sourceId": "book"}],
    }
    return {
        "port": port,
        "sources": [{"id": "book", "kind": "http", "host": "127.0.0.1", "port": free_port()}],
        "queries": [query],
        "reactions": [{"id": "told", "kind": "http", "queries": ["entries"], "baseUrl": told}],
    }


class Visitors:
    """Reads and pushes in turn, `RATE` a second.

    `answered` are the numbers of the entries whose push was answered with 200, `doubtful` of those
    whose push was not, `told` how often the webhook was told of each, `failed` what went wrong.
    """

    def __init__(self, session: aiohttp.ClientSession, told: Counter[int], port: int) -> None:
        self.answered: set[int] = set()
        self.doubtful: set[int] = set()
        self.told = told
        self.failed: list[str] = []
        self.done = 0
        self._session = session
        self._base = f"http://127.0.0.1:{port}/api/v1"

    async def come(self) -> None:
        """Until cancelled; then until all that is under way is answered."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            for number in itertools.count():
                task = asyncio.create_task(self._push(number) if number % 2 else self._read())
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                await asyncio.sleep(1 / RATE)
        finally:
            while under_way:
                await asyncio.wait(under_way)

    async def entries(self) -> Counter[int]:
        """How often each entry is among the rows."""
        url = f"{self._base}/queries/entries/results"
        async with self._session.get(url) as answer:
            rows = (await answer.json())["data"]
            return Counter(int(row["number"]) for row in rows)

    async def _read(self) -> None:
        await self._ask("GET", "queries/entries/results")

    async def _push(self, number: int) -> None:
        element = {
            "type": "node",
            "id": f"e{number}",
            "labels": ["Entry"],
            "properties": {"number": number},
        }
        change = {"operation": "insert", "element": element}
        well = await self._ask("POST", "sources/book/push", change)
        (self.answered if well else self.doubtful).add(number)

    async def _ask(self, method: str, path: str, body: Any = None) -> bool:
        try:
            async with self._session.request(method, f"{self._base}/{path}", json=body) as answer:
                said = await answer.text()
                if answer.status == 200:
                    self.done += 1
                    return True
                self.failed.append(f"{method} {path}: {answer.status} {said[:200]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failed.append(f"{method} {path}: {error!r}")
        return False


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, Counter[int]]]:
    """The URL of a webhook, and how often it was told of each entry."""
    port, told = free_port(), Counter[int]()

    async def take(request: web.Request) -> web.Response:
        after = (await request.json()).get("after") or {}
        told[int(after.get("number", -1))] += 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/{rest:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}", told
    finally:
        await runner.cleanup()


@asynccontextmanager
async def visited(told: Counter[int], port: int) -> AsyncIterator[Visitors]:
    """Visitors of the instance at `port` while the block runs."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        visitors = Visitors(session, told, port)
        coming = asyncio.create_task(visitors.come())
        try:
            yield visitors
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
