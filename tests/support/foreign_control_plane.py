"""A control plane as the prototype was meant to be: the basic endpoints, its quirks, no more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

STATUS = {"Created": 0, "Running": 1, "Stopped": 2, "Error": 3, "ConfigurationChanged": 4}


class ForeignControlPlane:
    """Integers for enumerations, text answers, a stop of what does not run is a 500."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.configurations: dict[str, dict[str, Any]] = {}
        self.running: dict[str, dict[str, Any] | None] = {}
        self.status: dict[str, str] = {}
        self.changes: list[dict[str, Any]] = []
        self.log: list[tuple[str, str]] = []
        self.refused_ports: set[int] = set()
        self.tells_changes = True
        self.garbled: dict[str, str] = {}

    def create(self, instance_id: str, document: dict[str, Any], *, running: bool = True) -> None:
        self.configurations[instance_id] = document
        self.status[instance_id] = "Running" if running else "Created"
        self.running[instance_id] = document if running else None

    def crash(self, instance_id: str) -> None:
        """Its process ends; the status goes on as it was."""
        self.running[instance_id] = None

    def configure(self, instance_id: str, **changes: Any) -> None:
        """Change the configuration, which the status then says in the place of all else."""
        old = self.status[instance_id]
        document = {**self.configurations[instance_id], **changes}
        self.configurations[instance_id] = document
        self.status[instance_id] = "ConfigurationChanged"
        self.changes.append(
            {
                "instanceId": instance_id,
                "oldStatus": STATUS[old],
                "newStatus": 4,
                "source": "ConfigurationController",
                "timestamp": datetime.now(UTC).isoformat(),
                "metadata": {"ChangeType": "PatchApplied"},
            }
        )

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The URL, until the end of the block."""
        app = web.Application()
        app.add_routes(
            [
                web.get(f"{self.base}/instances", self._list),
                web.get(f"{self.base}/instances/{{id}}", self._get),
                web.post(f"{self.base}/instances/{{id}}/stop", self._stop),
                web.post(f"{self.base}/instances/{{id}}/start", self._start),
                web.get("/api/configuration/instances/{id}", self._configuration),
                web.get("/api/status/recent-changes", self._recent),
            ]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            await runner.cleanup()

    def _instance(self, instance_id: str) -> dict[str, Any]:
        return {
            "id": instance_id,
            "name": instance_id,
            "description": "",
            "platformType": 0,
            "createdAt": "2026-01-01T00:00:00Z",
            "lastModifiedAt": None,
            "status": STATUS[self.status[instance_id]],
            "metadata": {},
        }

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response([self._instance(name) for name in self.configurations])

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.configurations:
            return web.Response(status=404, text=f"Instance '{name}' not found")
        return web.json_response(self._instance(name))

    async def _configuration(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name in self.garbled:
            return web.Response(text=self.garbled[name], content_type="application/json")
        return web.json_response(self.configurations[name])

    async def _stop(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if self.running[name] is None:
            return web.Response(status=500, text=f"Instance {name} not found or not running")
        self.log.append(("stop", name))
        self.running[name], self.status[name] = None, "Stopped"
        return web.Response(text=f"Instance '{name}' stopped successfully")

    async def _start(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        body = await request.text()
        document = json.loads(body) if body else self.configurations[name]
        self.log.append(("start", name))
        if document.get("port") in self.refused_ports:
            return web.Response(status=400, text="Failed to start instance: port in use")
        self.running[name], self.status[name] = document, "Running"
        return web.Response(text=f"Instance '{name}' started successfully")

    async def _recent(self, request: web.Request) -> web.Response:
        if not self.tells_changes:
            return web.Response(status=404)
        since = request.query.get("since", "")
        return web.json_response([c for c in self.changes if c["timestamp"] >= since])
