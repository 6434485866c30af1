"""Several hosts of one instance, and a receiver that counts what their reactions deliver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.integration.instance_host.hosts import (
    ALL,
    COUNT,
    Document,
    Host,
    configuration,
    query,
    running,
    source,
)
from tests.support.eventually import eventually
from tests.support.ports import free_port


@dataclass
class Receiver:
    """Webhook calls in the order of their arrival; `slow` seconds for each."""

    url: str = ""
    slow: float = 0.0
    calls: list[Document] = field(default_factory=list)

    def of(self, query_id: str) -> list[Any]:
        """The rows after the changes of a query."""
        return [call["after"] for call in self.calls if call["queryId"] == query_id]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()

    async def take(request: web.Request) -> web.Response:
        document = await request.json()
        await asyncio.sleep(receiver.slow)
        receiver.calls.append(document)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.url = f"http://127.0.0.1:{port}"
    yield receiver
    await runner.cleanup()


def shop(receiver: Receiver | None = None, **keys: Any) -> Document:
    """One http source, two queries, and reactions to them; each call has ports of its own."""
    reactions: list[Document] = [{"kind": "log", "id": "log", "queries": ["all"]}]
    if receiver is not None:
        queries = ["all", "count"]
        reactions += [{"kind": "http", "id": "hook", "baseUrl": receiver.url, "queries": queries}]
    parts = {"sources": [source()], "queries": [query("all", ALL), query("count", COUNT)]}
    return configuration(**{**parts, "reactions": reactions, **keys})


class Hosts:
    """Starts hosts, each in a directory of its own."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._count = 0

    async def start(self, document: Document, *arguments: str) -> Host:
        self._count += 1
        directory = self._directory / str(self._count)
        directory.mkdir()
        return await self._stack.enter_async_context(running(directory, document, *arguments))

    async def follow(self, leader: Host, document: Document) -> Host:
        return await self.start(document, "--follow", leader.url)


@asynccontextmanager
async def hosts_in(directory: Path) -> AsyncIterator[Hosts]:
    async with AsyncExitStack() as stack:
        yield Hosts(directory, stack)


async def state(host: Host) -> Document:
    found: Document = await host.do("GET", "/handover")
    return found


async def hand_over(leader: Host, follower: Host) -> int:
    """Cut over; the last change of the old leader, which then follows."""
    sealed = await leader.do("POST", "/handover/seal", {"successor": follower.url})
    await follower.do("POST", "/handover/promote", sealed)
    await leader.do("POST", "/handover/follow", {"leader": follower.url})
    sequence: int = sealed["sequence"]
    return sequence


async def has_state(host: Host, **expected: Any) -> None:
    async def probe() -> bool:
        found = await state(host)
        assert {key: found[key] for key in expected} == expected
        return True

    await eventually(probe)


async def has_error(host: Host, text: str) -> None:
    async def probe() -> bool:
        return text in ((await state(host))["error"] or "")

    await eventually(probe)


async def export(host: Host) -> list[Document]:
    """The lines of all elements."""
    status, text = await host.call("GET", "/handover/elements")
    assert status == 200
    return [json.loads(line) for line in text.splitlines()]
