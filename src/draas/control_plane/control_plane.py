"""The control plane as one thing: its parts, its loops, its beginning and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from draas.control_plane.adoption import adopt_all
from draas.control_plane.calls import Calls
from draas.control_plane.candidates import Candidates
from draas.control_plane.configurations import Configurations
from draas.control_plane.evictions import Evictions
from draas.control_plane.exits import Exits
from draas.control_plane.finisher import Finisher
from draas.control_plane.first_answers import FirstAnswers
from draas.control_plane.fleet import Fleet
from draas.control_plane.handover import Handover
from draas.control_plane.holding import Holding
from draas.control_plane.hosts import Hosts
from draas.control_plane.hot_apply import HotApply
from draas.control_plane.in_place import InPlace
from draas.control_plane.instances import Instances
from draas.control_plane.leadership import Leadership
from draas.control_plane.lifecycle import Lifecycle
from draas.control_plane.mirroring import Mirroring
from draas.control_plane.monitor import Monitor
from draas.control_plane.options import ControlPlaneSettings
from draas.control_plane.parity import ParityCheck
from draas.control_plane.placing import Placing
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Editor, Observer
from draas.control_plane.router import TrafficRouter
from draas.control_plane.slot_plans import SlotPlans
from draas.control_plane.slots import Slots
from draas.control_plane.store import Store, StoreError
from draas.control_plane.traffic import Traffic
from draas.decide.kinds import Kinds
from draas.model.clock import Clock
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import ControlPlaneMetrics


class ControlPlane:
    """Owns desired configurations and runs servers; between `open` and `close`.

    `host` is the id of the host whose processes it runs, where others can share the store.
    """

    def __init__(
        self,
        store: Store,
        platforms: Platforms,
        observer: Observer,
        editor: Editor,
        clock: Clock,
        settings: ControlPlaneSettings,
        can_bind: Callable[[str, int], bool],
        metrics: ControlPlaneMetrics,
        *,
        handover: Handover,
        router: TrafficRouter | None = None,
        host: str | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        ports = range(settings.process.first_port, settings.process.last_port + 1)
        interval = settings.monitor_interval.total_seconds()
        self.store = store
        self.platforms = platforms
        self.observer = observer
        self.clock = clock
        self.metrics = metrics
        self.fleet = Fleet(
            store,
            keep_changes=settings.changes.retention,
            keep_generations=settings.configurations.retention,
            host=host,
        )
        self.monitor = Monitor(self.fleet, observer, clock, interval)
        self.configurations = Configurations(self.fleet, store, kinds)
        self.instances = Instances(self.fleet, platforms, clock, ports, can_bind, kinds)
        self._finisher = Finisher(self.fleet)
        exits = Exits(self.fleet, self._finisher, clock, metrics.operated)
        platforms.watch(exits.came)
        calls = Calls(
            self._finisher, clock, operated=metrics.operated, freed=exits.freed, host=host
        )
        inside = range(settings.slots.first_port, settings.slots.last_port + 1) if router else None
        placing = Placing(self.fleet, inside, can_bind, clock.jitter)
        self.traffic = Traffic(router)
        self.handover = handover
        self.hosts = Hosts(self.fleet, store, clock)
        self._evictions = Evictions(self.fleet, platforms, self.traffic, self._finisher)
        foreign = settings.process.executable_path != ""
        in_place = InPlace(observer, editor, restarts_queries=foreign)
        self.hot_apply = HotApply(
            self.fleet,
            calls,
            self._finisher,
            self.configurations,
            in_place,
            placing,
            self.traffic,
            applied=self.monitor.soon,
        )
        self._leadership = Leadership(handover)
        self.lifecycle = Lifecycle(
            self.fleet,
            calls,
            self._finisher,
            self.configurations,
            platforms,
            placing,
            self.traffic,
            started=self.monitor.soon,
        )
        self.slot_plans = SlotPlans(self.fleet, self.configurations, self.traffic, self._leadership)
        self.slots = self._slots(calls, placing, in_place)
        self.parity = ParityCheck(self.fleet, handover, self._leadership, observer)
        self.first_answers = FirstAnswers(store, self._finisher)
        self.adopted = False
        self._loops: list[asyncio.Task[None]] = []

    def _slots(self, calls: Calls, placing: Placing, in_place: InPlace) -> Slots:
        holding = Holding(self.fleet, calls, self._finisher)
        mirroring = Mirroring(self.configurations, in_place, self.traffic)
        candidates = Candidates(
            calls, holding, self.platforms, placing, self.traffic, self._leadership, mirroring
        )
        return Slots(
            self.fleet,
            calls,
            holding,
            self.slot_plans,
            self.configurations,
            self.platforms,
            candidates,
            self.traffic,
            self._leadership,
            mirroring,
            switched=self.monitor.soon,
        )

    async def open(self) -> None:
        """Load the fleet, take over what runs, and begin to watch it.

        Raises:
            StoreError: the store cannot be read or written.
            RouterError: there is to be a router, and it cannot be had.
        """
        await self.fleet.load(self._evictions.learned)
        loop = asyncio.get_running_loop()
        self._loops.append(loop.create_task(self.fleet.write_forever()))
        self._loops.append(loop.create_task(self.store.listen(self._catch_up)))
        adopted = await adopt_all(self.fleet, self.platforms, self._leadership, self.clock)
        emit(messages.ADOPTED_AT_START, adopted=adopted, instances=len(self.fleet))
        await self.traffic.open(each for each in self.fleet if self.fleet.is_here(each))
        self._loops.append(loop.create_task(self.monitor.watch_forever()))
        self._finisher.spawn(self._evictions.look_through())
        self._loops.append(loop.create_task(self.hosts.beat_forever()))
        self.adopted = True

    async def _catch_up(self) -> None:
        with suppress(StoreError):  # it is looked again soon
            await self.fleet.catch_up()

    async def close(self) -> None:
        """Finish what has begun, write it, and let go; servers run on."""
        await self._finisher.close()
        await self.monitor.close()
        await self.fleet.drained()
        for task in self._loops:
            task.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.traffic.close()
        await self.platforms.close()
        await self.store.close()
