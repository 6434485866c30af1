"""A daemon over a simulated control plane on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from draas.client.port import ControlPlane
from draas.model.audit import AuditEntry
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.options import DaemonSettings
from draas.reconciliation.outside import NOTHING_OUTSIDE, Outside
from draas.reconciliation.store import AuditQuery
from draas.testing.configurations import configuration
from draas.testing.memory_leases import MemoryLeases
from draas.testing.memory_store import MemoryReconciliationStore
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.virtual_time import VirtualClock


class World:
    """What a test sees: the simulated control plane, the daemon's store, a daemon at a time."""

    def __init__(self, *, outside: Outside = NOTHING_OUTSIDE, **reconciliation: Any) -> None:
        self.outside = outside
        self.clock = VirtualClock()
        self.control_plane = SimulatedControlPlane(self.clock)
        self.store = MemoryReconciliationStore()
        self.leases = MemoryLeases(self.clock, exclusive=True)
        options = DaemonSettings()
        self.settings = replace(
            options, reconciliation=replace(options.reconciliation, **reconciliation)
        )

    @contextlib.asynccontextmanager
    async def daemon(self) -> AsyncIterator[Daemon]:
        """A daemon until the end of the block, drained then."""
        daemon = Daemon(self.settings, self.store, self.leases, self.clock, self.outside)
        stopping = asyncio.Event()
        task = asyncio.create_task(daemon.run(self._connect, stopping))
        try:
            yield daemon
        finally:
            stopping.set()
            await task

    async def killed_daemon(self, until: Callable[[], bool]) -> None:
        """A daemon that dies on the spot as soon as the condition holds."""
        daemon = Daemon(self.settings, self.store, self.leases, self.clock, self.outside)
        task = asyncio.create_task(daemon.run(self._connect, asyncio.Event()))
        while not until():
            await asyncio.sleep(0.01)
        if daemon.workers is not None:
            for worker in daemon.workers._tasks:
                worker.cancel()
            daemon.workers = None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def running(self, *names: str) -> None:
        """Instances that run at their desired configuration."""
        for number, name in enumerate(names):
            await self.control_plane.create(name, configuration(8100 + number))
            await self.control_plane.want(name, running=True)

    async def audit(self, instance_id: str | None = None) -> list[AuditEntry]:
        """The audit, oldest first."""
        query = AuditQuery(instance_id=instance_id, limit=1000)
        return list(reversed(await self.store.audit(query)))

    async def until(self, holds: Callable[[], bool], within: float = 60.0) -> None:
        """Let virtual time go by until something holds."""
        async with asyncio.timeout(within):
            while not holds():
                await asyncio.sleep(0.05)

    async def _connect(self) -> ControlPlane:
        self.control_plane.reach()
        return self.control_plane
