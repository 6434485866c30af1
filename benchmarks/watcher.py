"""The daemon's detection by itself: client, intake, picture of the fleet; nobody acts.

`python -m benchmarks.watcher URL native|foreign`
"""

from __future__ import annotations

import sys
import time
from typing import Any

import uvloop

from benchmarks.lines import own_cpu, serve
from draas.adapters.clock import SystemClock
from draas.client.control_plane import NativeControlPlane
from draas.client.foreign import ForeignControlPlane
from draas.client.http import HttpClient
from draas.client.port import ControlPlane
from draas.contract import routes
from draas.model.reconciliation import Memory
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.intake import Intake
from draas.reconciliation.link import Link
from draas.reconciliation.options import DaemonSettings
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry.logs import configure
from draas.telemetry.metrics import DaemonMetrics

READS = 20
"""The default of MaxConcurrentReads."""


class Watcher:
    """What the daemon is made of, up to its queue."""

    def __init__(self, control_plane: ControlPlane) -> None:
        clock = SystemClock()
        metrics = DaemonMetrics()
        self.fleet = Fleet()
        self.queue = WorkQueue(clock)
        self.intake = Intake(
            control_plane=control_plane,
            fleet=self.fleet,
            queue=self.queue,
            link=Link(clock, metrics),
            clock=clock,
            metrics=metrics,
            acts=True,
            owns=lambda _: True,
        )

    async def cycle(self, _: str) -> dict[str, Any]:
        """A cycle as the periodic check makes it: what it cost and which instances it found."""
        before, began = own_cpu(), time.perf_counter()
        await self.intake.check()
        cpu, seconds = own_cpu() - before, time.perf_counter() - began
        return {"cpu": cpu, "seconds": seconds, "found": await self._found()}

    async def resync(self, _: str) -> dict[str, Any]:
        """The whole fleet listed and taken in."""
        before, began = own_cpu(), time.perf_counter()
        await self.intake.resync()
        cpu, seconds = own_cpu() - before, time.perf_counter() - began
        return {"cpu": cpu, "seconds": seconds, "instances": len(self.fleet.states)}

    async def adopt(self, _: str) -> dict[str, Any]:
        """Count every server as running what is desired, as the daemon does at first sight."""
        for state in list(self.fleet.states.values()):
            self.fleet.remember(Memory(instance_id=state.id, applied_digest=state.desired_digest))
        await self._found()
        return {}

    async def _found(self) -> list[str]:
        found = []
        while len(self.queue):
            key, _ = await self.queue.take()
            self.queue.done(key)
            found.append(key)
        return found


async def main(url: str, kind: str) -> None:
    """Answer commands until stdin closes."""
    configure(DaemonSettings().logging, sys.stderr)
    http = HttpClient(url, actor="benchmark", limit=READS)
    native = kind == "native"
    control_plane: ControlPlane = (
        NativeControlPlane(http)
        if native
        else ForeignControlPlane(http, routes.SERVERS, poll_interval=2)
    )
    watcher = Watcher(control_plane)
    try:
        handlers = {"cycle": watcher.cycle, "resync": watcher.resync, "adopt": watcher.adopt}
        await serve(handlers)
    finally:
        await http.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
