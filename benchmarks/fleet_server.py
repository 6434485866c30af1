"""The real control plane over simulated servers: `python -m benchmarks.fleet_server DATA COUNT`.

The instances are put into the store's tables in bulk, as a control plane would have left them that
made and started each; over HTTP that would take minutes. Everything after that is the product: the
store, the application, uvicorn on uvloop. A wrapper counts requests and bytes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.documents import configuration, instance_id
from benchmarks.lines import own_cpu, serve
from draas.adapters.clock import SystemClock
from draas.adapters.platforms.handover_client import HandoverClient
from draas.adapters.store import control_plane_tables as tables
from draas.adapters.store.control_plane import SqlControlPlaneStore
from draas.adapters.store.engine import sqlite_url
from draas.contract.slots import MAIN, SERVING
from draas.control_plane.api.app import application, metrics
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.documents import document
from draas.control_plane.options import ControlPlaneSettings
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Launch, Running
from draas.control_plane.records import stamp
from draas.entrypoints.web_server import WebServer
from draas.testing.simulated_platform import SimulatedPlatform

SETTINGS = replace(ControlPlaneSettings(), monitor_interval=timedelta(hours=10))
"""The monitor would look at each server every two seconds; it is measured by itself instead."""


class Counted:
    """An application whose requests are counted, with the bytes of heads and bodies."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.counts = {"requests": 0, "bytes": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and count."""
        self.counts["requests"] += 1
        self._head(scope["headers"], len(scope["raw_path"]) + len(scope["query_string"]) + 16)

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._head(message.get("headers", ()), 64)
            else:
                self.counts["bytes"] += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, counting)

    def _head(self, headers: Any, first_line: int) -> None:
        self.counts["bytes"] += first_line + sum(len(k) + len(v) + 4 for k, v in headers)


async def fill(path: Path, platform: SimulatedPlatform, count: int, clock: SystemClock) -> None:
    """Put running instances into the tables, in bulk."""
    rows: dict[sa.Table, list[dict[str, Any]]] = {
        table: [] for table in (tables.instances, tables.configurations, tables.slots)
    }
    at = stamp(clock.now())
    for number in range(count):
        for table, row in zip(rows, await _rows(platform, number, at), strict=True):
            rows[table].append(row)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for table, values in rows.items():
            connection.execute(sa.insert(table), values)
    engine.dispose()


async def _rows(platform: SimulatedPlatform, number: int, at: str) -> Iterator[dict[str, Any]]:
    id, made = instance_id(number), document(configuration(number), port=0)
    running = await platform.start(Launch(id, MAIN, made.configuration, made.host, made.port))
    levels = {"generation": 1, "desired_digest": made.digest, "desired_run_state": "Running"}
    observed = {"status": "Running", "health": "Healthy", "last_good_generation": 1}
    instance = {
        **levels,
        **observed,
        "id": id,
        "name": id,
        "description": "",
        "platform_type": "Process",
        "labels": {},
        "metadata": {},
        "created_at": at,
        "port": made.port,
        "observed_components_digest": made.components_digest,
        "started_at": at,
        "reported": {},
    }
    stored = {"generation": 1, "digest": made.digest, "document": made.encoded}
    return iter(
        (instance, {**stored, "instance_id": id, "at": at, "actor": ""}, _slot(running, made, at))
    )


def _slot(running: Running, made: Any, at: str) -> dict[str, Any]:
    return {
        "instance_id": running.instance_id,
        "name": MAIN,
        "host": running.host,
        "port": running.port,
        "digest": made.digest,
        "components_digest": made.components_digest,
        "generation": 1,
        "at": at,
        "process_id": running.process_id,
        "process_started": running.process_started,
        "role": SERVING,
        "weight": 100,
        "placement": {},
    }


async def main(data: Path, count: int) -> None:
    """Fill, serve, and answer `usage` and `look` until stdin closes."""
    clock = SystemClock()
    platform = SimulatedPlatform(clock)
    path = data / "control-plane.sqlite"
    store = await SqlControlPlaneStore.open(sqlite_url(path), clock)
    if count:
        await fill(path, platform, count, clock)
    plane = ControlPlane(
        store,
        Platforms([platform]),
        platform,
        platform,
        clock,
        SETTINGS,
        lambda *_: True,
        metrics(),
        handover=HandoverClient(),
    )
    await plane.open()
    app = Counted(application(plane))
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = WebServer(
        app,
        "127.0.0.1",
        0,
        on_started=listening.set_result,
        on_ending=plane.fleet.end_polls,
    )
    serving = asyncio.create_task(server.serve())

    async def usage(_: str) -> dict[str, Any]:
        return dict(app.counts)

    async def look(_: str) -> dict[str, Any]:
        before = own_cpu()
        others = asyncio.all_tasks()
        for record in plane.fleet:
            plane.monitor.soon(record.instance.id)
        await asyncio.wait(asyncio.all_tasks() - others)
        return {"cpu": own_cpu() - before}

    await serve({"usage": usage, "look": look}, {"url": await listening})
    server.end()
    await serving
    await plane.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
