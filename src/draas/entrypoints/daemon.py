"""Wires the daemon: store, clock, client, web server, signals."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from draas.adapters.candidates.address import open_session
from draas.adapters.clock import SystemClock
from draas.adapters.store.engine import sqlite_file, sqlite_url
from draas.adapters.store.leases import SqlLeases
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.client.connect import connect
from draas.client.http import HttpClient
from draas.client.port import ControlPlane
from draas.entrypoints.exclusive import exclusive
from draas.entrypoints.outside import outside_of
from draas.entrypoints.web_server import WebServer
from draas.model.clock import Clock
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.leases import Leases
from draas.reconciliation.management.app import application
from draas.reconciliation.management.replicas import Replicas
from draas.reconciliation.options import DaemonSettings, LeaseKeeper
from draas.reconciliation.request import DAEMON
from draas.reconciliation.store import StoreError

STORE_FILE = "daemon.sqlite"


async def run(settings: DaemonSettings, data: Path) -> int:
    """Run the daemon until SIGTERM or SIGINT; the exit code.

    Raises:
        AlreadyRunningError: another daemon has the data directory or the SQLite file.
        SchemaError: the store was written by a newer release.
        DatabaseError: the store cannot be used.
        StoreError: the leases cannot be used.
        OSError: the management port cannot be had.
    """
    url = settings.store or sqlite_url(data / STORE_FILE)
    with ExitStack() as locks:
        locks.enter_context(exclusive(data, "daemon.lock"))
        if (file := sqlite_file(url)) is not None:
            locks.enter_context(exclusive(file.parent, f"{file.name}.lock"))
        clock = SystemClock()
        store = await SqlReconciliationStore.open(url)
        http = HttpClient(
            settings.control_plane_url,
            actor=DAEMON,
            timeout=settings.reconciliation.request_timeout.total_seconds(),
            limit=settings.reconciliation.max_concurrent_reads,
        )
        session = open_session()
        outside = outside_of(settings, session)
        try:
            async with _leases(settings, store, clock) as leases:
                await _serve(settings, Daemon(settings, store, leases, clock, outside), http)
        finally:
            await session.close()
            await http.close()
            await store.close()
    return 0


@asynccontextmanager
async def _leases(
    settings: DaemonSettings, store: SqlReconciliationStore, clock: Clock
) -> AsyncIterator[Leases]:
    if settings.leases is LeaseKeeper.STORE:
        yield SqlLeases(store.engine, clock)
        return
    try:
        # An extra: most daemons do without.
        from draas.adapters.kubernetes.connect import connected  # noqa: PLC0415
    except ImportError as error:
        raise StoreError(
            f"Leases=Kubernetes needs `pip install draas[kubernetes]`: {error}"
        ) from None
    async with connected(settings.kubernetes.namespace, clock) as leases:
        yield leases


async def spare_the_collector(daemon: Daemon) -> None:
    """Once the fleet is known, keep it out of full collections: at 10,000 each would take 20 ms."""
    await daemon.link.first_sync.wait()
    gc.collect()
    gc.freeze()


async def _serve(settings: DaemonSettings, daemon: Daemon, http: HttpClient) -> None:
    options = settings.reconciliation

    async def find() -> ControlPlane:
        return await connect(
            http,
            poll_interval=options.event_poll_interval.total_seconds(),
        )

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)
    replicas = Replicas(daemon)
    server = WebServer(
        application(daemon, replicas),
        settings.management.host,
        settings.management.port,
        any_host=settings.management.allow_remote_access_without_authentication,
        on_started=daemon.listens_at,
    )
    serving = asyncio.create_task(server.serve())
    working = asyncio.create_task(daemon.run(find, stopping))
    sparing = asyncio.create_task(spare_the_collector(daemon))
    try:
        await asyncio.wait([serving, working], return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        await working
    finally:
        server.end()
        sparing.cancel()
        await serving
        await replicas.close()
