"""Real instance hosts as child processes, and a client of their API."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.eventually import eventually
from tests.support.ports import free_port

Document = dict[str, Any]
START_SECONDS = 20.0


def source(source_id: str = "orders", **keys: Any) -> Document:
    """An http source, which changes only when it is told to."""
    return {"kind": "http", "id": source_id, "host": "127.0.0.1", "port": free_port(), **keys}


def query(query_id: str, text: str, *sources: str, **keys: Any) -> Document:
    subscriptions = [{"sourceId": source_id} for source_id in sources or ("orders",)]
    return {"id": query_id, "query": text, "sources": subscriptions, "autoStart": True, **keys}


ALL = "MATCH (o:Order) RETURN o.id AS id, o.price AS price"
COUNT = "MATCH (o:Order) RETURN count(o) AS orders, sum(o.price) AS total"


def configuration(**keys: Any) -> Document:
    root = {"id": "shop", "host": "127.0.0.1", "port": free_port(), "persistConfig": False}
    return {**root, **keys}


def order(order_id: str, price: int, operation: str = "insert") -> Document:
    properties = {"id": order_id, "price": price}
    element = {"type": "node", "id": order_id, "labels": ["Order"], "properties": properties}
    return {"operation": operation, "element": element}


def deletion(order_id: str) -> Document:
    return {"operation": "delete", "id": order_id, "labels": ["Order"]}


@dataclass
class Host:
    """A running host; paths are relative to `/api/v1/instances/{id}`."""

    process: asyncio.subprocess.Process
    url: str
    instance_id: str
    output: Path
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body, as JSON where it is JSON."""
        url = f"{self.url}/api/v1/instances/{self.instance_id}{path}"
        async with self.session.request(method, url, json=body) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        """The data of an answer that must be a success."""
        status, answer = await self.call(method, path, body)
        assert status == 200, answer
        return answer["data"]

    async def push(self, *changes: Document, to: str = "orders") -> None:
        for change in changes:
            await self.do("POST", f"/sources/{to}/push", change)

    async def rows(self, query_id: str) -> list[Document]:
        rows = await self.do("GET", f"/queries/{query_id}/results")
        return sorted(rows, key=json.dumps)

    async def has_rows(self, query_id: str, *expected: Document) -> None:
        """Wait until a query's rows are these."""
        wanted = sorted(expected, key=json.dumps)

        async def probe() -> bool:
            rows = await self.rows(query_id)
            assert rows == wanted
            return True

        await eventually(probe)

    async def has_output(self, text: str) -> None:
        async def probe() -> bool:
            return text in self.output.read_text()

        await eventually(probe)

    def lines(self, prefix: str) -> list[str]:
        """What the process printed in lines that begin with `prefix`."""
        return [x for x in self.output.read_text().splitlines() if x.startswith(prefix)]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process; its exit code."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20)


@dataclass
class Listener:
    """A client of a stream of events."""

    content: aiohttp.StreamReader

    async def next(self) -> Any:
        """The next event; comments are skipped."""
        while not (text := await self.content.readuntil(b"\n\n")).startswith(b"data: "):
            pass
        return json.loads(text.removeprefix(b"data: "))

    async def next_id(self) -> str:
        """The id in the next event's only row, after the change."""
        [row] = (await self.next())["results"]
        found: str = row.get("after", row.get("data"))["id"]
        return found


@asynccontextmanager
async def listening(session: aiohttp.ClientSession, url: str) -> AsyncIterator[Listener]:
    """Connected to a stream of events, as soon as somebody serves it."""
    timeout = aiohttp.ClientTimeout(total=30)

    async def connect() -> aiohttp.ClientResponse:
        return await session.get(url, timeout=timeout)

    async with await eventually(connect, within=START_SECONDS) as response:
        await response.content.readuntil(b"\n\n")
        yield Listener(response.content)


async def spawn(
    config: Path, output: Path, *arguments: str, **environment: str
) -> asyncio.subprocess.Process:
    """A host on `config`; its output goes to a file, or to nobody with NO_READER set."""
    program = ("-m", "draas.entrypoints.instance", "--config", str(config), *arguments)
    with output.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *program,
            stdout=_closed_pipe() if "NO_READER" in environment else log,
            stderr=log,
            env={**os.environ, **environment},
        )


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@asynccontextmanager
async def running(
    directory: Path, document: Document, *arguments: str, port: int | None = None, **env: str
) -> AsyncIterator[Host]:
    """A healthy host on `document`; it is ended afterwards, and must end well."""
    config, output = directory / "server.json", directory / "out.txt"
    if not config.exists():
        config.write_text(json.dumps(document))
    process = await spawn(config, output, *arguments, **env)
    url = f"http://127.0.0.1:{port or document['port']}"
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        host = Host(process, url, document["id"], output, session)
        try:
            await _healthy(host)
            yield host
            if process.returncode is None:
                assert await host.stop() == 0, output.read_text()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _healthy(host: Host) -> None:
    async def probe() -> bool:
        if host.process.returncode is not None:
            return True
        async with host.session.get(f"{host.url}/health") as response:
            return response.status == 200

    await eventually(probe, within=START_SECONDS)
    assert host.process.returncode is None, host.output.read_text()


async def start_fails(directory: Path, document: Document, *arguments: str) -> str:
    """What a host printed that must not start: exit code 1."""
    config, output = directory / "server.json", directory / "out.txt"
    config.write_text(json.dumps(document))
    process = await spawn(config, output, *arguments)
    assert await asyncio.wait_for(process.wait(), START_SECONDS) == 1, output.read_text()
    return output.read_text()
