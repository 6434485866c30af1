"""How news of the fleet comes in: the list, and what the change feed tells after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from draas.client.port import ControlPlane, FleetStates
from draas.contract.feed import MOST, Change, Changes
from draas.model.clock import Clock
from draas.model.reconciliation import Trigger
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.link import Link
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import OneWrite, emit
from draas.telemetry.metrics import DaemonMetrics

RELIST_SECONDS = 300.0
"""After so long a check lists the whole fleet again: events are hints, and may have been lost."""
SLICE = 256
"""So many instances of a list are taken in before others get a turn."""


class Intake:
    """Keeps the picture of the fleet current, and enqueues what needs a look.

    What `owns` denies is known here and worked on elsewhere. With `acts` false nothing is enqueued
    but what is gone: the fleet is known, and people decide.
    """

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        fleet: Fleet,
        queue: WorkQueue,
        link: Link,
        clock: Clock,
        metrics: DaemonMetrics,
        acts: bool,
        owns: Callable[[str], bool],
    ) -> None:
        self._control_plane = control_plane
        self._fleet = fleet
        self._queue = queue
        self._link = link
        self._clock = clock
        self._metrics = metrics
        self._acts = acts
        self._owns = owns
        self._etag: str | None = None
        self._listed_at: str | None = None  # where the feed goes on from the list with this ETag
        self._cursor: str | None = None
        self._relist_at = 0.0
        self._listing = asyncio.Lock()
        self._told: set[str] = set()
        self._latest: tuple[str, datetime] | None = None
        metrics.event_lag.set_function(self._event_lag)

    async def check(self) -> None:
        """Learn what changed since the last look: its cost grows with changes, not with instances.

        The whole list is taken where no feed tells, after a gap, and every `RELIST_SECONDS`.

        Raises:
            ControlPlaneError: nothing could be learned, and nothing was concluded from that (B-07).
        """
        if self.is_relist_due():
            self.distrust()
        more = True
        while more and self._cursor is not None:
            changes = await self._control_plane.changes(self._cursor, 0)
            self.learn(changes)
            more = changes.more or len(changes.changes) >= MOST
        if self._cursor is None:
            await self.resync()
        else:
            self._requeue_pending()

    async def resync(self) -> str | None:
        """List the fleet and enqueue what needs a look; the cursor that the feed goes on from.

        Raises:
            ControlPlaneError: it could not be listed; nothing was concluded from that (B-07).
        """
        async with self._listing:
            self._told.clear()
            fleet = await self._control_plane.fleet(self._etag)
            self._relist_at = self._clock.monotonic() + RELIST_SECONDS
            if fleet is None:
                self._requeue_pending()
                self._cursor = self._listed_at
                return self._cursor
            await self._take_in(fleet)
            self._etag, self._cursor = fleet.etag, fleet.cursor
            self._listed_at = fleet.cursor
        self._link.first_sync.set()
        self._metrics.instances_drifting(self._fleet.drifting(self._owns))
        return fleet.cursor

    async def _take_in(self, fleet: FleetStates) -> None:
        """Take a list in, slice by slice; what the feed tells meanwhile is not older."""
        for number, state in enumerate(fleet.states, 1):
            if state.id not in self._told and self._fleet.put(state):
                self._ask(state.id, Trigger.RESYNC)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        self._fleet.unreadable = dict(fleet.unreadable)
        present = {state.id for state in fleet.states} | fleet.unreadable.keys() | self._told
        for instance_id in self._fleet.missing_from(present):
            self._gone(instance_id, Trigger.RESYNC)

    def learn(self, changes: Changes) -> str | None:
        """Take in what the feed says; where to go on, `None` for a list because of a gap."""
        if changes.gap:
            emit(messages.FULL_RESYNC, reason="changes were missed")
            self.distrust()
            return None
        if changes.changes:
            self._latest = changes.changes[-1].at, self._clock.now()
        with OneWrite():
            for change in changes.changes:
                self._take(change)
        if self._cursor is not None:
            self._cursor = changes.cursor
        return changes.cursor

    def _take(self, change: Change) -> None:
        if self._listing.locked():
            self._told.add(change.instance_id)
        if change.kind == "Deleted":
            self._fleet.deleted.add(change.instance_id)
            self._gone(change.instance_id, Trigger.CHANGE)
            return
        needed = change.state is None or self._fleet.put(change.state)
        if change.kind == "ConfigurationChanged" and self._acts:
            emit(messages.CONFIGURATION_CHANGED, instance_id=change.instance_id)
            needed = True
        if needed:
            self._ask(change.instance_id, Trigger.CHANGE)

    def is_relist_due(self) -> bool:
        """Whether the whole fleet is to be listed again, whatever the feed tells."""
        return self._clock.monotonic() >= self._relist_at

    def distrust(self) -> None:
        """Let the next look be at the whole list, whatever was known."""
        self._cursor = self._etag = None

    def _requeue_pending(self) -> None:
        """Nothing changed in the control plane: look again only at what was not in order."""
        for instance_id in list(self._fleet.plans):
            if self._queue.due(instance_id) is None:
                self._ask(instance_id, Trigger.RESYNC)

    def _gone(self, instance_id: str, trigger: Trigger) -> None:
        """Who works on it writes the end of its story; the others just forget it."""
        if self._owns(instance_id):
            self._queue.add(instance_id, trigger)
        else:
            self._fleet.drop(instance_id)

    def _ask(self, instance_id: str, trigger: Trigger) -> None:
        if self._acts and self._owns(instance_id):
            self._queue.add(instance_id, trigger)

    def _event_lag(self) -> float:
        """Seconds from the last change to when it was taken in; 0 where its time makes no sense."""
        if self._latest is None:
            return 0.0
        at, taken = self._latest
        try:
            return max((taken - datetime.fromisoformat(at)).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return 0.0
