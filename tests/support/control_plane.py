"""A control plane in this process, served by uvicorn on a port of the system's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from draas.adapters.clock import SystemClock
from draas.adapters.machine.ports import can_bind
from draas.adapters.store.control_plane import SqlControlPlaneStore
from draas.adapters.store.engine import sqlite_url
from draas.control_plane.api.app import application, metrics
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.options import ControlPlaneSettings
from draas.control_plane.platforms import Platforms
from draas.decide.kinds import Kinds
from draas.entrypoints.web_server import WebServer
from draas.testing.simulated_handover import SimulatedHandover
from draas.testing.simulated_platform import SimulatedFleet, SimulatedPlatform
from tests.support.memory_router import MemoryRouter


@dataclass
class World:
    """A served control plane with what stands around it."""

    url: str
    client: httpx.AsyncClient
    plane: ControlPlane
    platform: SimulatedPlatform
    router: MemoryRouter | None
    database: Path

    async def create(self, **members: Any) -> dict[str, Any]:
        answer = await self.client.post("/api/servers/instances", json={"name": "test", **members})
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    async def state(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (
            await self.client.get(f"/api/servers/instances/{instance_id}")
        ).json()
        return found

    async def cursor(self) -> str:
        return str((await self.client.get("/api/changes")).json()["cursor"])

    async def changes(self, after: str, wait: float = 0) -> dict[str, Any]:
        answer = await self.client.get("/api/changes", params={"after": after, "wait": wait})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


FAST = replace(ControlPlaneSettings(), monitor_interval=timedelta(milliseconds=100))


@asynccontextmanager
async def served(
    data: Path,
    fleet: SimulatedFleet | None = None,
    settings: ControlPlaneSettings = FAST,
    *,
    url: str = "",
    host: str | None = None,
    router: MemoryRouter | None = None,
    kinds: Kinds | None = None,
) -> AsyncIterator[World]:
    """A control plane on a file below `data`, or on the store at `url`, as one of its hosts."""
    clock = SystemClock()
    platform = SimulatedPlatform(clock, fleet)
    database = data / "control-plane.sqlite"
    store = await SqlControlPlaneStore.open(url or sqlite_url(database), clock)
    plane = ControlPlane(
        store,
        Platforms([platform]),
        platform,
        platform,
        clock,
        settings,
        can_bind,
        metrics(),
        handover=SimulatedHandover(platform.fleet.hosts),
        router=router,
        host=host,
        kinds=kinds,
    )
    await plane.open()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = WebServer(
        application(plane),
        "127.0.0.1",
        0,
        on_started=listening.set_result,
        on_ending=plane.fleet.end_polls,
    )
    serving = asyncio.create_task(server.serve())
    try:
        listens_at = await listening
        plane.hosts.listens_at(listens_at)
        async with httpx.AsyncClient(base_url=listens_at, timeout=30) as client:
            yield World(listens_at, client, plane, platform, router, database)
    finally:
        server.end()
        await serving
        await plane.close()
