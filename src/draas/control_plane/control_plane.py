"""The control plane as one thing: its parts, its loops, its beginning and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from draas.control_plane.adoption import adopt_all
from draas.control_plane.configurations import Configurations
from draas.control_plane.fleet import Fleet
from draas.control_plane.instances import Instances
from draas.control_plane.lifecycle import Lifecycle
from draas.control_plane.monitor import Monitor
from draas.control_plane.options import ControlPlaneSettings
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Observer
from draas.control_plane.store import Store
from draas.model.clock import Clock


class ControlPlane:
    """Owns desired configurations and runs servers; between `open` and `close`."""

    def __init__(
        self,
        store: Store,
        platforms: Platforms,
        observer: Observer,
        clock: Clock,
        settings: ControlPlaneSettings,
        can_bind: Callable[[str, int], bool],
    ) -> None:
        ports = range(settings.process.first_port, settings.process.last_port + 1)
        interval = settings.monitor_interval.total_seconds()
        self.store = store
        self.platforms = platforms
        self.observer = observer
        self.clock = clock
        self.fleet = Fleet(store, keep_changes=settings.changes.retention)
        self.monitor = Monitor(self.fleet, observer, clock, interval)
        self.configurations = Configurations(self.fleet, store)
        self.instances = Instances(self.fleet, platforms, clock, ports, can_bind)
        self.lifecycle = Lifecycle(
            self.fleet, self.configurations, platforms, clock, self.monitor.soon
        )
        self.adopted = False
        self._loops: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Load the fleet, take over what runs, and begin to watch it.

        Raises:
            StoreError: the store cannot be read or written.
        """
        await self.fleet.load()
        loop = asyncio.get_running_loop()
        self._loops.append(loop.create_task(self.fleet.write_forever()))
        await adopt_all(self.fleet, self.platforms, self.clock)
        self._loops.append(loop.create_task(self.monitor.watch_forever()))
        self.adopted = True

    async def close(self) -> None:
        """Finish what has begun, write it, and let go; servers run on."""
        await self.lifecycle.close()
        await self.monitor.close()
        await self.fleet.drained()
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.platforms.close()
        await self.store.close()
