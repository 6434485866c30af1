"""Everything as a user runs it: a control plane, a daemon, servers, Envoy in front of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.programs import DRAAS, free_port, program, wait_ready

LOOK_SECONDS = 0.02
PATIENCE = 60.0
ORDERS = [{"sourceId": "orders"}]


class Whole:
    """Calls of people, over HTTP."""

    def __init__(self, directory: Path, log: Path, session: aiohttp.ClientSession) -> None:
        self.directory = directory
        self.session = session
        self._log = log
        self._port, self._daemon_port = free_port(), free_port()

    @asynccontextmanager
    async def daemon(self, *settings: str) -> AsyncIterator[None]:
        """A ready daemon with the settings and a store of its own."""
        options = (
            *("daemon", "--data", str(self.directory / f"daemon-{time.monotonic_ns()}")),
            *("--port", str(self._daemon_port)),
            f"--ControlPlaneUrl=http://127.0.0.1:{self._port}",
        )
        with ExitStack() as stack:
            process = stack.enter_context(program(self._log, DRAAS, *options, *settings))
            await asyncio.to_thread(wait_ready, process, self._daemon_port)
            try:
                yield
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait, PATIENCE)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of the control plane."""
        return await self._ask(method, self._port, path, body)

    async def create(self, instance_id: str, queries: list[dict[str, Any]]) -> int:
        """An instance that runs, to whose source orders are pushed; its address's port."""
        port = free_port()
        source = {"id": "orders", "kind": "http", "host": "127.0.0.1", "port": free_port()}
        configuration = {"port": port, "sources": [source], "queries": queries}
        body = {"id": instance_id, "name": instance_id, "configuration": configuration}
        await self.ask("POST", "/api/servers/instances", body)
        await self.ask("POST", f"/api/servers/instances/{instance_id}/start")
        return port

    async def changed(self, instance_id: str, pointer: str, value: Any) -> float:
        """PATCH a field; how many seconds later the daemon had finished.

        Raises:
            RuntimeError: it did not succeed.
        """
        known = {each["operationId"] for each in await self._audit(instance_id)}
        began = time.time()
        operation = {"op": "replace", "path": pointer, "value": value}
        await self.ask("PATCH", f"/api/configuration/instances/{instance_id}", [operation])
        async with asyncio.timeout(PATIENCE):
            while True:
                for entry in await self._audit(instance_id):
                    new = entry["operationId"] not in known
                    if new and entry["outcome"] not in ("started", "held"):
                        if entry["outcome"] != "succeeded":
                            raise RuntimeError(f"{instance_id}: {entry}")
                        return _epoch(entry["timestamp"]) - began
                await asyncio.sleep(LOOK_SECONDS)

    async def _audit(self, instance_id: str) -> list[dict[str, Any]]:
        path = f"/api/reconciliation/audit?instanceId={instance_id}&limit=2"
        found: list[dict[str, Any]] = (await self._ask("GET", self._daemon_port, path))["entries"]
        return found

    async def _ask(self, method: str, port: int, path: str, body: Any = None) -> Any:
        url = f"http://127.0.0.1:{port}{path}"
        async with self.session.request(method, url, json=body) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.status != 204 else None


@asynccontextmanager
async def whole(directory: Path, log: Path) -> AsyncIterator[Whole]:
    """A control plane; at the end its instances are deleted, and Envoy ends with the last."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        made = Whole(directory, log, session)
        options = ("control-plane", "--data", str(directory / "cp"), "--port", str(made._port))
        with program(log, DRAAS, *options) as process:
            await asyncio.to_thread(wait_ready, process, made._port)
            try:
                yield made
            finally:
                for instance in await made.ask("GET", "/api/servers/instances"):
                    await made.ask("DELETE", f"/api/servers/instances/{instance['id']}")


def query(query_id: str, condition: str) -> dict[str, Any]:
    """A query for orders."""
    text = f"MATCH (o:Order) WHERE {condition} RETURN o.id AS id"
    return {"id": query_id, "query": text, "queryLanguage": "Cypher", "sources": ORDERS}


async def push(made: Whole, url: str, number: int) -> None:
    """Push an order, whose price is its number, through an instance's API."""
    properties = {"id": f"o{number}", "price": number}
    element = {"type": "node", "id": f"o{number}", "labels": ["Order"], "properties": properties}
    change = {"operation": "insert", "element": element}
    async with made.session.post(f"{url}/sources/orders/push", json=change) as answer:
        answer.raise_for_status()


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
