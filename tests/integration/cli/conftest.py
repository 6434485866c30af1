"""Commands against a control plane and a daemon in this process, with simulated servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import draas.entrypoints.draas  # noqa: F401  # adds the commands
from draas.cli.app import app
from draas.entrypoints.web_server import WebServer
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management.app import application
from draas.reconciliation.management.replicas import Replicas
from tests.integration.reconciliation.daemons import running_daemon
from tests.support.control_plane import World, served


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Fleet:
    """What commands talk to."""

    world: World
    daemon: Daemon
    daemon_url: str

    async def draas(self, *arguments: str, stdin: Any = None) -> Done:
        """Run a command to its end; what is given as `stdin` is a manifest."""
        before = ["--control-plane", self.world.url, "--daemon", self.daemon_url]
        text = None if stdin is None else json.dumps(stdin)
        done = await asyncio.to_thread(CliRunner().invoke, app, [*before, *arguments], text)
        return Done(done.exit_code, done.stdout, done.stderr)


@asynccontextmanager
async def fleet_in(data: Path, **options: Any) -> AsyncIterator[Fleet]:
    """A fleet without instances; its daemon has the options of `Reconciliation`."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with (
        served(data) as world,
        running_daemon(world.url, data / "daemon.sqlite", **options) as daemon,
    ):
        replicas = Replicas(daemon)
        server = WebServer(
            application(daemon, replicas), "127.0.0.1", 0, on_started=listening.set_result
        )
        serving = asyncio.create_task(server.serve())
        try:
            await daemon.link.first_sync.wait()
            yield Fleet(world, daemon, await listening)
        finally:
            server.end()
            await serving
            await replicas.close()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """A fleet without instances."""
    async with fleet_in(tmp_path) as found:
        yield found
