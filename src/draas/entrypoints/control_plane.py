"""`draas control-plane`: the control plane on SQLite, with servers as processes, over HTTP."""

from __future__ import annotations

import asyncio
import fcntl
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from draas.adapters.clock import SystemClock
from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.ports import can_bind
from draas.adapters.platforms.process import INCLUDED, ProcessPlatform
from draas.adapters.store.control_plane import SqlControlPlaneStore
from draas.adapters.store.engine import SchemaError
from draas.control_plane.api.app import application, metrics
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.options import ControlPlaneSettings, ProcessOptions
from draas.control_plane.platforms import Platforms
from draas.control_plane.store import StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit

GRACE = 2
"""Seconds that open requests get when the process is told to end."""


class InUseError(Exception):
    """Another control plane works on the same data."""


async def run(
    settings: ControlPlaneSettings, data: Path, ready: Callable[[str], None] | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. `ready` is told the URL once it answers.

    0: ended as told. 1: the store or the address cannot be used, with one line on stderr.
    """
    try:
        with _alone(data) as home:
            return await _serve(settings, home, ready)
    except (InUseError, SchemaError, StoreError, OSError) as error:
        print(f"draas control-plane: {error}", file=sys.stderr)
        return 1


async def _serve(
    settings: ControlPlaneSettings, data: Path, ready: Callable[[str], None] | None
) -> int:
    clock = SystemClock()
    client = DrasiClient(clock)
    store = await SqlControlPlaneStore.open(data / "control-plane.sqlite", clock)
    plane = ControlPlane(
        store=store,
        platforms=Platforms([_processes(settings.process, data, client)]),
        observer=client,
        clock=clock,
        settings=settings,
        can_bind=can_bind,
        metrics=metrics(),
    )
    server = Server(
        uvicorn.Config(
            application(plane),
            host=settings.api.host,
            port=settings.api.port,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        ),
        on_started=ready,
        on_ending=plane.fleet.end_polls,
    )
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, server.end)
    try:
        await plane.open()
        await server.serve()
    finally:
        await plane.close()
        await client.close()
    return 0 if server.started else 1


class Server(uvicorn.Server):
    """uvicorn that says where it listens, and ends long polls before it waits for them."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_started: Callable[[str], None] | None,
        on_ending: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._on_ending = on_ending

    def end(self) -> None:
        """Stop serving; asked again, without waiting for open requests."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: uvicorn would raise them again before anything is closed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell the URL."""
        try:
            await super().startup(sockets)
        except SystemExit:
            raise OSError(
                f"{self.config.host}:{self.config.port} cannot be listened on; is it in use? "
                "Choose another with Api:Port"
            ) from None
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            emit(messages.NOW_LISTENING, url=url)
            emit(messages.APPLICATION_STARTED)
            if self._on_started is not None:
                self._on_started(url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of those that wait for changes, then of the rest."""
        emit(messages.APPLICATION_STOPPING)
        self._on_ending()
        await super().shutdown(sockets)


def _processes(options: ProcessOptions, data: Path, client: DrasiClient) -> ProcessPlatform:
    return ProcessPlatform(
        data,
        client,
        command=(options.executable_path,) if options.executable_path else INCLUDED,
        plugins_directory=options.plugins_directory,
        shutdown_timeout=float(options.shutdown_timeout_seconds),
        start_timeout=options.start_timeout.total_seconds(),
        log_max_bytes=options.log_max_bytes,
        log_backups=options.log_backups,
    )


@contextmanager
def _alone(data: Path) -> Iterator[Path]:
    """The folder, made if missing and held against a second control plane (B-37)."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data / "control-plane.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"{data} is in use by another control plane; end that one or name another --data"
            ) from None
        yield data.resolve()
