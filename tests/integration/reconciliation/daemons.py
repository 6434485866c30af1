"""A daemon in this process over real HTTP and a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from draas.adapters.clock import SystemClock
from draas.adapters.store.engine import sqlite_url
from draas.adapters.store.leases import SqlLeases
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.client.connect import connect
from draas.client.http import HttpClient
from draas.client.port import ControlPlane
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.options import DaemonSettings

QUICK = {
    "polling_interval": timedelta(seconds=0.5),
    "event_poll_interval": timedelta(seconds=0.1),
    "restart_delay": timedelta(),
    "health_timeout": timedelta(seconds=3),
    "retry_delay": timedelta(seconds=0.2),
    "control_plane_outage_threshold": timedelta(seconds=0.2),
}


@asynccontextmanager
async def running_daemon(url: str, path: Path, **options: Any) -> AsyncIterator[Daemon]:
    """A daemon that works until the end of the block; quick in everything it waits for."""
    settings = replace(
        DaemonSettings(),
        control_plane_url=url,
        reconciliation=replace(DaemonSettings().reconciliation, **{**QUICK, **options}),
    )
    store = await SqlReconciliationStore.open(sqlite_url(path))
    http = HttpClient(url, actor="daemon", timeout=2)

    async def find() -> ControlPlane:
        return await connect(http, poll_interval=0.1)

    clock = SystemClock()
    daemon = Daemon(settings, store, SqlLeases(store.engine, clock), clock)
    stopping = asyncio.Event()
    task = asyncio.create_task(daemon.run(find, stopping))
    try:
        yield daemon
    finally:
        stopping.set()
        await task
        await http.close()
        await store.close()
