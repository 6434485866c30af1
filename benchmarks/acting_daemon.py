"""The real daemon with a queue that notes when keys come and when a worker begins with them.

`python -m benchmarks.acting_daemon URL DATA`. It acts: it restarts what drifts, at once
(RestartDelay 0) and with the breaker off, because a burst over a whole fleet would open it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.lines import serve
from draas.adapters.clock import SystemClock
from draas.adapters.store.engine import sqlite_url
from draas.adapters.store.leases import SqlLeases
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.client.connect import connect
from draas.client.http import HttpClient
from draas.client.port import ControlPlane
from draas.entrypoints.daemon import spare_the_collector
from draas.model.reconciliation import Trigger
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.options import BreakerOptions, DaemonSettings
from draas.reconciliation.triggers import Triggers
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry.logs import configure


class NotingQueue(WorkQueue):
    """Instants are of the machine's monotonic clock, the same in every process."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.came: list[tuple[str, float]] = []
        self.began: list[tuple[str, float]] = []

    def add(self, key: str, trigger: Trigger) -> None:
        """Note and add."""
        self.came.append((key, time.monotonic()))
        super().add(key, trigger)

    async def take(self) -> tuple[str, Trigger]:
        """Take and note: the worker that asked begins now."""
        key, trigger = await super().take()
        self.began.append((key, time.monotonic()))
        return key, trigger


class ActingDaemon(Daemon):
    """A daemon whose triggers can be called from outside."""

    triggers: Triggers

    def _assemble(self, control_plane: ControlPlane) -> Triggers:
        self.triggers = super()._assemble(control_plane)
        return self.triggers


async def main(url: str, data: Path) -> None:
    """Answer commands until stdin closes."""
    base = DaemonSettings()
    settings = replace(
        base,
        control_plane_url=url,
        reconciliation=replace(base.reconciliation, restart_delay=timedelta()),
        breaker=BreakerOptions(enabled=False),
    )
    configure(settings.logging, sys.stderr)
    clock = SystemClock()
    store = await SqlReconciliationStore.open(sqlite_url(data / "daemon.sqlite"))
    http = HttpClient(url, actor="benchmark", limit=base.reconciliation.max_concurrent_reads)
    daemon = ActingDaemon(settings, store, SqlLeases(store.engine, clock), clock)
    queue = NotingQueue(clock)
    daemon.queue = daemon.share.queue = queue
    stopping = asyncio.Event()
    working = asyncio.create_task(daemon.run(lambda: connect(http, poll_interval=2), stopping))
    await spare_the_collector(daemon)

    async def settle(_: str) -> dict[str, Any]:
        while len(queue) or queue.active or daemon.fleet.drifting_with():
            await asyncio.sleep(0.05)
        return {}

    async def noted(_: str) -> dict[str, Any]:
        answer = {"came": queue.came, "began": queue.began}
        queue.came, queue.began = [], []
        return answer

    resyncs: list[asyncio.Task[str | None]] = []

    async def resync(_: str) -> dict[str, Any]:
        resyncs[:] = [asyncio.create_task(daemon.triggers.intake.resync())]
        return {}

    await serve({"settle": settle, "noted": noted, "resync": resync})
    stopping.set()
    await working
    await http.close()
    await store.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
