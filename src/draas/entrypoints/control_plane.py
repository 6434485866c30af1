"""`draas control-plane`: the control plane with servers as processes, over HTTP."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from draas.adapters.clock import SystemClock
from draas.adapters.machine.ports import can_bind
from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.handover_client import HandoverClient
from draas.adapters.platforms.process import INCLUDED, ProcessPlatform
from draas.adapters.routers.envoy import EnvoyRouter
from draas.adapters.routers.haproxy import HAProxyRouter
from draas.adapters.store.control_plane import SqlControlPlaneStore
from draas.adapters.store.engine import sqlite_file, sqlite_url
from draas.control_plane.api.app import application, metrics
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.options import ControlPlaneSettings, ProcessOptions
from draas.control_plane.platforms import Platforms
from draas.control_plane.router import TrafficRouter
from draas.decide.kinds import Kinds
from draas.entrypoints.exclusive import exclusive
from draas.entrypoints.web_server import WebServer
from draas.instance_host import reactions, sources
from draas.model.clock import Clock

STORE_FILE = "control-plane.sqlite"
HOST_FILE = "host-id"
"""Whose processes those below the data directory are, where control planes share a store."""


async def run(
    settings: ControlPlaneSettings, data: Path, ready: Callable[[str], None] = lambda _url: None
) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. `ready` is told the URL once it answers.

    Raises:
        AlreadyRunningError: another control plane has the data directory (B-37) or the SQLite file.
        SchemaError: the store was written by a newer release.
        DatabaseError: the store cannot be used.
        StoreError: the store cannot be used.
        OSError: the address cannot be had.
    """
    with ExitStack() as locks:
        home = locks.enter_context(exclusive(data, "control-plane.lock"))
        url = settings.store or sqlite_url(home / STORE_FILE)
        if (file := sqlite_file(url)) is not None:
            locks.enter_context(exclusive(file.parent, f"{file.name}.control-plane.lock"))
        return await _serve(settings, home, url, ready)


async def _serve(
    settings: ControlPlaneSettings, data: Path, url: str, ready: Callable[[str], None]
) -> int:
    clock = SystemClock()
    client = DrasiClient(clock)
    handover = HandoverClient()
    store = await SqlControlPlaneStore.open(url, clock)
    plane = ControlPlane(
        store=store,
        platforms=Platforms([_processes(settings.process, data, client, handover)]),
        observer=client,
        editor=client,
        clock=clock,
        settings=settings,
        can_bind=can_bind,
        metrics=metrics(),
        handover=handover,
        router=_router(settings, data),
        host=_host(data, clock) if store.shared else None,
        kinds=_kinds(settings.process),
    )

    def listens(url: str) -> None:
        plane.hosts.listens_at(settings.api.advertised_url or url)
        ready(url)

    server = WebServer(
        application(plane),
        settings.api.host,
        settings.api.port,
        any_host=settings.api.allow_remote_access_without_authentication,
        on_started=listens,
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
        await handover.close()
    return 0 if server.started else 1


def _router(settings: ControlPlaneSettings, data: Path) -> TrafficRouter | None:
    match settings.router:
        case "envoy":
            return EnvoyRouter(data / "envoy", settings.envoy.executable_path)
        case "haproxy":
            program = settings.haproxy.executable_path or shutil.which("haproxy") or "haproxy"
            return HAProxyRouter(data / "haproxy", program)
        case _:
            return None


def _host(data: Path, clock: Clock) -> str:
    """The identity of the data directory, made at first."""
    file = data / HOST_FILE
    if not file.exists():
        whole = file.with_suffix(".new")
        whole.write_text(clock.new_id())
        whole.replace(file)
    return file.read_text().strip()


def _kinds(options: ProcessOptions) -> Kinds | None:
    """The kinds of components that servers here have; `None` where plugins may bring others."""
    if options.executable_path or options.plugins_directory:
        return None
    return {"sources": sources.KINDS, "reactions": reactions.KINDS}


def _processes(
    options: ProcessOptions, data: Path, client: DrasiClient, handover: HandoverClient
) -> ProcessPlatform:
    return ProcessPlatform(
        data,
        client,
        handover,
        command=(options.executable_path,) if options.executable_path else INCLUDED,
        plugins_directory=options.plugins_directory,
        shutdown_timeout=float(options.shutdown_timeout_seconds),
        start_timeout=options.start_timeout.total_seconds(),
        log_max_bytes=options.log_max_bytes,
        log_backups=options.log_backups,
    )
