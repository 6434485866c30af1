"""What makes the daemon look: the change feed, the periodic resync. Both only enqueue keys."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from draas.client.port import ControlPlane, ControlPlaneError, UnreachableError
from draas.contract.feed import Change
from draas.model.clock import Clock
from draas.model.reconciliation import Trigger
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.heartbeats import Heartbeats
from draas.reconciliation.link import Link
from draas.reconciliation.waiting import Waiting
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

LONG_POLL_SECONDS = 25.0
RETRY_SECONDS = 1.0
JITTER_SHARE = 0.1
SHOWN_WAITING = 20


class Triggers:
    """The event loop and the periodic loop, independent of each other (D-03).

    With `acts` false nothing is enqueued but what is gone: the fleet is known, and people decide.
    """

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        fleet: Fleet,
        queue: WorkQueue,
        waiting: Waiting,
        link: Link,
        counts: CycleCounts,
        heartbeats: Heartbeats,
        clock: Clock,
        metrics: DaemonMetrics,
        acts: bool,
        concurrency: int,
    ) -> None:
        self._acts = acts
        self._concurrency = concurrency
        self._control_plane = control_plane
        self._fleet = fleet
        self._queue = queue
        self._waiting = waiting
        self._link = link
        self._counts = counts
        self._heartbeats = heartbeats
        self._clock = clock
        self._metrics = metrics
        self._etag: str | None = None

    async def follow(self) -> None:
        """Follow the change feed for ever; a gap or a failed start means a full resync (B-36).

        The cursor moves only past what is in the queue; an outage leaves it where it is (B-33).
        The first question after an outage asks for an answer at once: it tells that it is over.
        """
        cursor: str | None = None
        while True:
            self._heartbeats.beat("events", LONG_POLL_SECONDS + 60)
            try:
                if cursor is None:
                    cursor = await self.resync() or ""
                wait = LONG_POLL_SECONDS if self._link.away_for() == 0 else 0.0
                changes = await self._control_plane.changes(cursor, wait)
            except ControlPlaneError as error:
                if not isinstance(error, UnreachableError):
                    emit(messages.CHANGES_READ_ERROR, reason=error)
                self._link.away(error)
                await asyncio.sleep(RETRY_SECONDS * (1 + self._clock.jitter()))
                continue
            except Exception as error:
                emit(messages.EVENT_POLL_ERROR, error)
                cursor, self._etag = None, None
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._link.up()
            if changes.gap:
                emit(messages.FULL_RESYNC, reason="changes were missed")
                cursor, self._etag = None, None
                continue
            for change in changes.changes:
                self._take(change)
            cursor = changes.cursor

    async def repeat(self, interval: timedelta, *, at_once: bool) -> None:
        """Check the whole fleet every interval, for ever, never two checks at a time (R-094)."""
        if not at_once:
            await asyncio.sleep(self._spread(interval))
        while True:
            self._heartbeats.beat("periodic", 2 * interval.total_seconds() + 60)
            await self._cycle()
            await asyncio.sleep(self._spread(interval))

    async def _cycle(self) -> None:
        emit(messages.CYCLE_STARTING)
        try:
            await self.resync()
        except ControlPlaneError as error:
            if self._link.away_for() == 0:
                emit(messages.LIST_ERROR, reason=error)
            self._link.away(error)
            return
        except Exception as error:
            emit(messages.CYCLE_ERROR, error)
            return
        self._link.up()
        self._metrics.cycle_completed()
        if self._queue.active >= self._concurrency:
            self._tell_waiting()
        reconciled, failed = self._counts.take()
        emit(
            messages.CYCLE_COMPLETE,
            checked=len(self._fleet.states) + len(self._fleet.unreadable),
            drift_detected=self._fleet.drifting_count,
            reconciled=reconciled,
            failed=failed,
            unknown=len(self._fleet.unreadable),
            pending=len(self._queue) + self._queue.active,
        )

    def _tell_waiting(self) -> None:
        for instance_id in self._queue.waiting(SHOWN_WAITING):
            self._metrics.skipped("concurrency")
            emit(messages.SKIPPED_CONCURRENCY, instance_id=instance_id, limit=self._concurrency)

    async def resync(self) -> str | None:
        """List the fleet and enqueue what needs a look; the cursor that the feed goes on from.

        Raises:
            ControlPlaneError: it could not be listed; nothing was concluded from that (B-07).
        """
        fleet = await self._control_plane.fleet(self._etag)
        if fleet is None:
            cursor = self._etag.strip('"') if self._etag else None
            self._requeue_pending()
            return cursor
        for state in fleet.states:
            if self._fleet.put(state):
                self._ask(state.id, Trigger.RESYNC)
        for instance_id, reason in fleet.unreadable.items():
            self._fleet.put_unreadable(instance_id, reason)
        present = {state.id for state in fleet.states} | fleet.unreadable.keys()
        for instance_id in self._fleet.missing_from(present):
            self._queue.add(instance_id, Trigger.RESYNC)
        self._etag = fleet.etag
        self._link.synced = True
        self._metrics.instances_drifting(self._fleet.drifting())
        return fleet.cursor

    def _requeue_pending(self) -> None:
        """Nothing changed in the control plane: look again only at what was not in order."""
        for instance_id in list(self._fleet.plans):
            if self._queue.due(instance_id) is None:
                self._ask(instance_id, Trigger.RESYNC)

    def _ask(self, instance_id: str, trigger: Trigger) -> None:
        if self._acts:
            self._queue.add(instance_id, trigger)

    def _take(self, change: Change) -> None:
        self._metrics.event_lag.set(_seconds_since(change.at, self._clock.now()))
        self._waiting.tell(change.instance_id)
        if change.kind == "Deleted":
            self._fleet.deleted.add(change.instance_id)
            self._queue.add(change.instance_id, Trigger.CHANGE)
            return
        needed = change.state is None or self._fleet.put(change.state)
        if change.kind == "ConfigurationChanged" and self._acts:
            emit(messages.CONFIGURATION_CHANGED, instance_id=change.instance_id)
            needed = True
        if needed:
            self._ask(change.instance_id, Trigger.CHANGE)

    def _spread(self, interval: timedelta) -> float:
        """The interval, up to a tenth shorter or longer, so that daemons do not march in step."""
        return interval.total_seconds() * (1 + JITTER_SHARE * (2 * self._clock.jitter() - 1))


def _seconds_since(at: str, now: datetime) -> float:
    try:
        return max((now - datetime.fromisoformat(at)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0
