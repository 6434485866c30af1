"""The daemon as a whole: connect, remember, look once at everything, then follow and repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from draas.client.port import ControlPlane, ControlPlaneError
from draas.decide.strategies import UNUSABLE
from draas.model.clock import Clock
from draas.model.reconciliation import Trigger
from draas.reconciliation.apply import Executor
from draas.reconciliation.breaker import FleetBreaker
from draas.reconciliation.by_hand import ByHand
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.heartbeats import Heartbeats
from draas.reconciliation.intake import Intake
from draas.reconciliation.leases import Leases
from draas.reconciliation.link import Link, Question
from draas.reconciliation.operations import Operations
from draas.reconciliation.options import DaemonSettings
from draas.reconciliation.outside import NOTHING_OUTSIDE, Outside
from draas.reconciliation.places import Places
from draas.reconciliation.reconcile import Reconciler
from draas.reconciliation.request import Request
from draas.reconciliation.rules import breaker_rules_of, rules_of
from draas.reconciliation.share import Share
from draas.reconciliation.store import ReconciliationStore, StoreError
from draas.reconciliation.triggers import RETRY_SECONDS, Triggers
from draas.reconciliation.workers import Workers
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

EXPIRE_EVERY_SECONDS = 3600.0
ALIVE_EVERY_SECONDS = 5.0
LOOKERS = 3
"""Workers beyond the places, so that looking does not wait for those who act (B-43)."""

Connect = Callable[[], Awaitable[ControlPlane]]


class Daemon:
    """Everything of a running daemon; the management API reads from it.

    `control_plane`, `reconciler` and `workers` are there once `connected` is set.
    """

    def __init__(
        self,
        settings: DaemonSettings,
        store: ReconciliationStore,
        leases: Leases,
        clock: Clock,
        outside: Outside = NOTHING_OUTSIDE,
    ) -> None:
        self.settings = settings
        self._outside = outside
        self.store = store
        self.clock = clock
        self.rules = rules_of(settings)
        self.metrics = DaemonMetrics()
        self.heartbeats = Heartbeats(clock)
        self.link = Link(clock, self.metrics)
        self.breaker = FleetBreaker(
            breaker_rules_of(settings), clock, self.metrics, self._look_again
        )
        self.queue = WorkQueue(clock)
        self.counts = CycleCounts()
        self.places = Places(settings.reconciliation.max_concurrent_reconciliations, self._ask)
        self.fleet = Fleet(settings.rollout.group_by)
        self.share = Share(
            settings,
            store,
            leases,
            clock,
            fleet=self.fleet,
            queue=self.queue,
            places=self.places,
            breaker=self.breaker,
            rules=self.rules,
        )
        self.shards, self.journal = self.share.shards, self.share.journal
        self.rollouts = self.share.rollouts
        self.by_hand = ByHand(self.journal, self.fleet, clock)
        self.connected = asyncio.Event()
        self.control_plane: ControlPlane | None = None
        self.reconciler: Reconciler | None = None
        self.workers: Workers | None = None

    async def run(self, connect: Connect, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then drain (B-53).

        Raises:
            StoreError: the store could not be read at the start.
        """
        self._announce()
        await self.shards.beat()
        loops = [asyncio.create_task(self.shards.beat_forever())]
        loops += [asyncio.create_task(self._expire()), asyncio.create_task(self._alive())]
        loops.append(asyncio.create_task(self._reconcile(connect)))
        stop = asyncio.create_task(stopping.wait())
        try:
            done, _ = await asyncio.wait([*loops, stop], return_when=asyncio.FIRST_COMPLETED)
            emit(messages.STOPPING)
            for task in done - {stop}:
                task.result()
        finally:
            for task in (*loops, stop):
                task.cancel()
            await asyncio.gather(*loops, stop, return_exceptions=True)
            if self.workers is not None:
                await self._drain(self.workers)
            await self.shards.leave()

    async def _drain(self, workers: Workers) -> None:
        """What is under way goes on for a while, and with it the beat that it needs."""
        beating = asyncio.create_task(self.shards.beat_forever())
        try:
            await workers.drain(self.settings.reconciliation.shutdown_grace_period)
        finally:
            beating.cancel()

    async def _reconcile(self, connect: Connect) -> None:
        control_plane = await self._connect(connect)
        triggers = self._assemble(control_plane)
        options = self.settings.reconciliation
        assert self.workers is not None
        self.workers.start()
        loops = []
        if self._follows or not self._repeats:
            loops.append(asyncio.create_task(triggers.follow()))
        if self._repeats:
            periodic = triggers.repeat(options.polling_interval, at_once=options.run_initial_pass)
            loops.append(asyncio.create_task(periodic))
        try:
            await asyncio.gather(*loops)
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _connect(self, connect: Connect) -> ControlPlane:
        while True:
            try:
                control_plane = await connect()
            except ControlPlaneError as error:
                self.link.away(Question.CONNECT, error)
                await asyncio.sleep(RETRY_SECONDS * (1 + self.clock.jitter()))
                continue
            self.link.up(Question.CONNECT)
            missing = control_plane.capabilities.missing
            if missing:
                emit(messages.EVENT_DRIVEN_BY_POLLING)
                emit(messages.LIMITED_CONTROL_PLANE, missing="; ".join(missing))
            return control_plane

    def _assemble(self, control_plane: ControlPlane) -> Triggers:
        self.control_plane = control_plane
        executor = Executor(
            control_plane,
            self.fleet,
            self.clock,
            self.journal.remember,
            self._outside,
            self.journal.fence,
        )
        operations = Operations(
            control_plane=control_plane,
            journal=self.journal,
            executor=executor,
            rules=self.rules,
            counts=self.counts,
            places=self.places,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.reconciler = Reconciler(
            control_plane=control_plane,
            journal=self.journal,
            fleet=self.fleet,
            operations=operations,
            breaker=self.share.look_at_fleet,
            places=self.places,
            rollouts=self.rollouts,
            rules=self.rules,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.workers = Workers(
            queue=self.queue,
            reconciler=self.reconciler,
            link=self.link,
            clock=self.clock,
            metrics=self.metrics,
            count=self.places.limit + LOOKERS,
            under_way=lambda: self.journal.open.keys() & self.places.taken,
            owns=self.shards.owns,
            fenced=self.shards.contest,
        )
        self.connected.set()
        intake = Intake(
            control_plane=control_plane,
            fleet=self.fleet,
            queue=self.queue,
            link=self.link,
            clock=self.clock,
            metrics=self.metrics,
            acts=self._follows or self._repeats,
            owns=self.shards.owns,
        )
        return Triggers(
            control_plane=control_plane,
            intake=intake,
            fleet=self.fleet,
            queue=self.queue,
            places=self.places,
            link=self.link,
            counts=self.counts,
            heartbeats=self.heartbeats,
            clock=self.clock,
            metrics=self.metrics,
            under_way=self.journal.open.keys,
        )

    @property
    def looks(self) -> list[str]:
        """When an instance is looked at without a person: at a `change`, at a `periodic` check."""
        by_itself = {"change": self._follows, "periodic": self._repeats}
        return [name for name, is_on in by_itself.items() if is_on]

    @property
    def _follows(self) -> bool:
        return self.settings.reconciliation.enable_event_driven_reconciliation

    @property
    def _repeats(self) -> bool:
        options = self.settings.reconciliation
        return options.enable_auto_reconciliation and options.polling_interval > timedelta()

    async def _alive(self) -> None:
        while True:
            self.heartbeats.beat("daemon", 6 * ALIVE_EVERY_SECONDS)
            self.share.look_at_fleet()
            self.share.take_back_waves()
            await asyncio.sleep(ALIVE_EVERY_SECONDS)

    def listens_at(self, url: str) -> None:
        """Tell the other daemons where this one is managed: at `url`, or as the settings say."""
        self.shards.url = self.settings.management.advertised_url.rstrip("/") or url

    def measure(self) -> None:
        """Bring the gauges up to date that nothing else sets."""
        self.metrics.instances_drifting(self.fleet.drifting(self.shards.owns))
        self.metrics.shards_held.set(len(self.shards.held))
        self.metrics.replicas.set(len(self.shards.members))
        self.metrics.leads.set(self.shards.leads)

    def _ask(self, instance_id: str, request: Request) -> None:
        if self.workers is not None:
            self.workers.ask(instance_id, request)

    def _look_again(self) -> None:
        for instance_id in self.fleet.plans:
            self.queue.add(instance_id, Trigger.RESYNC)

    async def _expire(self) -> None:
        while True:
            before = self.clock.now() - self.settings.audit.retention
            try:
                if self.shards.leads:
                    await self.store.expire_audit(before)
            except StoreError as error:
                emit(messages.STORE_ERROR, reason=error)
            await asyncio.sleep(EXPIRE_EVERY_SECONDS)

    def _announce(self) -> None:
        emit(messages.STARTING)
        for name, reason in UNUSABLE.items():
            emit(messages.UNUSABLE_STRATEGY, strategy=name, reason=reason)
        if self._follows:
            emit(messages.EVENT_DRIVEN_ENABLED)
        else:
            emit(messages.EVENT_DRIVEN_DISABLED)
        if self._repeats:
            interval = self.settings.reconciliation.polling_interval
            emit(messages.PERIODIC_ENABLED, interval=interval)
        else:
            emit(messages.PERIODIC_DISABLED)
        if not (self._follows or self._repeats):
            emit(messages.BY_HAND_ONLY)
