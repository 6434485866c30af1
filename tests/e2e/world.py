"""A control plane, a daemon and real servers, each a process of its own, as a user runs them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from draas.entrypoints.serve import divided
from tests.support.eventually import eventually
from tests.support.ports import free_port

DRAAS = (sys.executable, "-m", "draas.entrypoints.draas")
LISTENING = re.compile(r"Now listening on: (http://\S+)")


def configuration(**changes: Any) -> dict[str, Any]:
    """A small real configuration: a counter, a query over it, a log."""
    return {
        "sources": [
            {"id": "s", "kind": "mock", "dataType": {"type": "counter"}, "intervalMs": 200}
        ],
        "queries": [
            {
                "id": "q",
                "query": "MATCH (c:Counter) RETURN c.value AS value",
                "queryLanguage": "Cypher",
                "sources": [{"sourceId": "s"}],
            }
        ],
        "reactions": [{"id": "r", "kind": "log", "queries": ["q"]}],
        **changes,
    }


class Program:
    """A `draas` command in the background, its output in a file."""

    def __init__(self, log: Path, *arguments: str, command: tuple[str, ...] = DRAAS) -> None:
        self.log = log
        self.arguments = arguments
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    async def spawn(self) -> int:
        """Start it; where its log begins."""
        with self.log.open("ab") as output:
            begin = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *self.arguments,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return begin

    async def start(self) -> str:
        """Start it; the URL at which it says that it listens."""
        begin = await self.spawn()

        async def listening() -> str | None:
            assert self._process is not None
            text = self.log.read_text()[begin:]
            if self._process.returncode is not None:
                raise RuntimeError(f"it ended with {self._process.returncode}: {text}")
            found = LISTENING.search(text)
            return found.group(1) if found else None

        return await eventually(listening, within=20) or ""

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ended(self) -> int:
        """Wait until it ends by itself; the exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """End it and wait; the exit code."""
        if self._process is None:
            return None
        if self._process.returncode is None:
            os.kill(self._process.pid, how)
        async with asyncio.timeout(40):
            return await self._process.wait()


class World:
    """What a user sees of the fleet, over HTTP."""

    def __init__(
        self,
        directory: Path,
        session: aiohttp.ClientSession,
        settings: tuple[str, ...] = (),
        control_plane: tuple[str, ...] = DRAAS,
    ) -> None:
        self.directory = directory
        self._settings = settings
        self._session = session
        self._port, self._daemon_port = free_port(), free_port()
        self.control_plane = Program(
            directory / "control-plane.log",
            *("control-plane", "--data", str(directory / "cp"), "--port", str(self._port)),
            *divided(settings)[0],
            command=control_plane,
        )
        self._url = f"http://127.0.0.1:{self._port}"
        self.daemon_url = f"http://127.0.0.1:{self._daemon_port}"
        self.daemon = self.another_daemon()

    def another_daemon(
        self,
        *settings: str,
        port: int | None = None,
        name: str = "daemon",
        command: tuple[str, ...] = DRAAS,
    ) -> Program:
        """The daemon's program, with further settings, on another port or with data of its own."""
        return Program(
            self.directory / f"{name}.log",
            *("daemon", "--data", str(self.directory / name)),
            *("--port", str(port or self._daemon_port)),
            *(f"--ControlPlaneUrl={self._url}", *divided(self._settings)[1], *settings),
            command=command,
        )

    async def ask(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        """An answer of the control plane as JSON."""
        return await self._request(method, self._url + path, body, expect)

    async def ask_daemon(self, path: str, *, expect: int | None = 200) -> Any:
        """An answer of the daemon as JSON."""
        return await self._request("GET", self.daemon_url + path, None, expect)

    async def replica(self, url: str) -> dict[str, Any]:
        """What the daemon at a URL says of itself and of those that it shares the fleet with."""
        found: dict[str, Any] = await self._request(
            "GET", f"{url}/api/reconciliation/replicas", None, 200
        )
        return found

    async def changes(self, after: str = "") -> dict[str, Any]:
        """What the control plane wrote down since a cursor; without one, the present cursor."""
        path = f"/api/changes?wait=0&after={after}" if after else "/api/changes"
        found: dict[str, Any] = await self.ask("GET", path, None, 200)
        return found

    async def draas(self, *arguments: str) -> str:
        """The output of a command of a person that succeeds."""
        addresses = {"DRAAS_CONTROL_PLANE_URL": self._url, "DRAAS_DAEMON_URL": self.daemon_url}
        process = await asyncio.create_subprocess_exec(
            *DRAAS,
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **addresses},
        )
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said
        return said

    async def order_daemon(self, path: str, body: Any = None) -> Any:
        """An order to the daemon."""
        return await self._request("POST", self.daemon_url + path, body, None)

    async def _request(self, method: str, url: str, body: Any, expect: int | None) -> Any:
        async with self._session.request(method, url, json=body) as answer:
            content = await answer.text()
            if expect is not None:
                assert answer.status == expect, f"{method} {url}: {answer.status} {content}"
            try:
                return await answer.json(content_type=None)
            except ValueError:
                return content

    async def create(
        self, instance_id: str, *, labels: dict[str, str] | None = None, **changes: Any
    ) -> dict[str, Any]:
        """A running instance, on a port that nobody else uses, unless one is given."""
        changes.setdefault("port", free_port())
        body = {
            "id": instance_id,
            "name": instance_id,
            "labels": labels or {},
            "configuration": configuration(**changes),
        }
        await self.ask("POST", "/api/servers/instances", body, 201)
        await self.ask("POST", f"/api/servers/instances/{instance_id}/start", None, 200)
        return await self.instance(instance_id)

    async def patch(self, instance_id: str, *operations: dict[str, Any]) -> Any:
        path = f"/api/configuration/instances/{instance_id}"
        return await self.ask("PATCH", path, list(operations), 202)

    async def instance(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask(
            "GET", f"/api/servers/instances/{instance_id}", None, 200
        )
        return found

    async def configuration(self, instance_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask(
            "GET", f"/api/configuration/instances/{instance_id}", None, 200
        )
        return found

    async def process_of(self, instance_id: str) -> int:
        found = await self.ask("GET", f"/api/status/{instance_id}/status", None, 200)
        return int(found["processId"])

    async def audit(self, instance_id: str) -> list[dict[str, Any]]:
        """The audit of an instance, oldest first."""
        path = f"/api/reconciliation/audit?instanceId={instance_id}"
        entries: list[dict[str, Any]] = (await self.ask_daemon(path))["entries"]
        return entries[::-1]

    async def outcomes(self, instance_id: str) -> list[str]:
        return [entry["outcome"] for entry in await self.audit(instance_id)]

    async def settled(self, instance_id: str, port: int | None = None) -> bool:
        """Running at its desired configuration (and listening there)."""
        found = await self.instance(instance_id)
        there = found["appliedDigest"] == found["desiredDigest"] and found["status"] == "Running"
        return there and (port is None or await self.healthy(port))

    async def healthy(self, port: int) -> bool:
        async with self._session.get(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200

    async def delete_components(self, port: int) -> None:
        """Delete the query, and the reaction to it, through the API of the server at `port`."""
        base = f"http://127.0.0.1:{port}/api/v1"
        await self._request("DELETE", f"{base}/reactions/r", None, 200)
        await self._request("DELETE", f"{base}/queries/q", None, 200)

    async def ready(self) -> bool:
        async with self._session.get(self.daemon_url + "/ready") as answer:
            return answer.status == 200

    async def metric(self, line: str) -> float:
        """The value of a series of the daemon, 0 if it is not there."""
        async with self._session.get(self.daemon_url + "/metrics") as answer:
            for row in (await answer.text()).splitlines():
                if row.startswith(line):
                    return float(row.rsplit(" ", 1)[1])
        return 0.0

    def servers(self) -> list[psutil.Process]:
        """The server processes of this world, found by their command line."""
        marker = str(self.directory)
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            alive = process.info["status"] != psutil.STATUS_ZOMBIE
            if alive and "--config" in line and any(marker in word for word in line):
                found.append(process)
        return found

    def routers(self) -> list[psutil.Process]:
        """The processes that route for this world."""
        return [
            process
            for process in psutil.process_iter(["name", "cmdline", "status"])
            if process.info["name"] in ("envoy", "haproxy")
            and process.info["status"] != psutil.STATUS_ZOMBIE
            and any(str(self.directory) in word for word in process.info["cmdline"] or [])
        ]

    async def end(self) -> None:
        """End everything that this world started."""
        await self.daemon.end(signal.SIGKILL)
        await self.control_plane.end(signal.SIGKILL)
        await self.clear()

    async def clear(self) -> None:
        """End the servers and routers that are left, those that are just being started as well."""

        async def nothing_left() -> bool:
            left = [*self.servers(), *self.routers()]
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return not left

        await eventually(nothing_left, within=30)


@asynccontextmanager
async def world(
    directory: Path,
    *,
    daemon: bool = True,
    settings: tuple[str, ...] = (),
    control_plane: tuple[str, ...] = DRAAS,
) -> AsyncIterator[World]:
    """A control plane and, if wanted, a ready daemon, both with the settings; ended at the end.

    `control_plane` is the command that the first is run by.
    """
    timeout = aiohttp.ClientTimeout(total=45)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        made = World(directory, session, settings, control_plane)
        try:
            await made.control_plane.start()
            if daemon:
                await made.daemon.start()
                await eventually(made.ready, within=30)
            yield made
        finally:
            await made.end()
