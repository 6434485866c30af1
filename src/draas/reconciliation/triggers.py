"""What makes the daemon look: the change feed, the periodic resync. Both only enqueue keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from draas.client.port import ControlPlane, ControlPlaneError, FleetStates, UnreachableError
from draas.contract.feed import MOST, Change, Changes
from draas.model.clock import Clock
from draas.model.reconciliation import Trigger
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.heartbeats import Heartbeats
from draas.reconciliation.link import Link, Question
from draas.reconciliation.places import Places
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import OneWrite, emit
from draas.telemetry.metrics import DaemonMetrics

LONG_POLL_SECONDS = 10.0
"""A control plane that hangs is noticed when a poll is not answered."""
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
JITTER_SHARE = 0.1
SHOWN_WAITING = 20
RELIST_SECONDS = 300.0
"""After so long a check lists the whole fleet again: events are hints, and may have been lost."""
SLICE = 256
"""So many instances of a list are taken in before others get a turn."""


class Triggers:
    """The event loop and the periodic loop, independent of each other (D-03).

    What `owns` denies is known here and worked on elsewhere. With `acts` false nothing is enqueued
    but what is gone: the fleet is known, and people decide.
    """

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        fleet: Fleet,
        queue: WorkQueue,
        places: Places,
        link: Link,
        counts: CycleCounts,
        heartbeats: Heartbeats,
        clock: Clock,
        metrics: DaemonMetrics,
        acts: bool,
        owns: Callable[[str], bool],
    ) -> None:
        self._acts = acts
        self._owns = owns
        self._control_plane = control_plane
        self._fleet = fleet
        self._queue = queue
        self._places = places
        self._link = link
        self._counts = counts
        self._heartbeats = heartbeats
        self._clock = clock
        self._metrics = metrics
        self._etag: str | None = None
        self._listed_at: str | None = None  # where the feed goes on from the list with this ETag
        self._cursor: str | None = None
        self._relist_at = 0.0
        self._listing = asyncio.Lock()
        self._useless = self._failed = 0
        self._told: set[str] = set()
        self._latest: tuple[str, datetime] | None = None
        metrics.event_lag.set_function(self._event_lag)

    async def follow(self) -> None:
        """Follow the change feed for ever; a gap or a failed start means a full resync (B-36).

        The cursor moves only past what is in the queue; an outage leaves it where it is (B-33).
        The first question after an outage asks for an answer at once: it tells that it is over.
        """
        cursor: str | None = None
        while True:
            self._heartbeats.beat("events", LONG_POLL_SECONDS + 60)
            wait, asked = 0.0, self._clock.monotonic()
            try:
                if self._is_relist_due():
                    self._distrust()
                    cursor = None
                if cursor is None:
                    cursor = await self.resync() or ""
                wait, asked = self._patience(), self._clock.monotonic()
                changes = await self._control_plane.changes(cursor, wait)
            except ControlPlaneError as error:
                if not isinstance(error, UnreachableError):
                    emit(messages.CHANGES_READ_ERROR, reason=error)
                late = max(self._clock.monotonic() - asked - wait, 0.0)
                self._link.away(Question.CHANGES, error, late)
                await asyncio.sleep(RETRY_SECONDS * (1 + self._clock.jitter()))
                continue
            except Exception as error:
                emit(messages.EVENT_POLL_ERROR, error)
                self._link.away(Question.CHANGES, error)
                self._distrust()
                cursor = None
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._link.up(Question.CHANGES)
            pause = self._pause(changes, cursor, self._clock.monotonic() - asked)
            cursor = self._learn(changes)
            await asyncio.sleep(pause)

    def _patience(self) -> float:
        """How long the control plane may wait for news before it answers."""
        return 0.0 if self._link.is_away_from(Question.CHANGES) else LONG_POLL_SECONDS

    def _pause(self, changes: Changes, asked_after: str, took: float) -> float:
        """Seconds until the feed is asked again.

        None, as it waits for news itself; but one that keeps answering at once without getting
        anywhere, or only tells of gaps, must not be asked in a tight loop.
        """
        is_useful = not changes.gap and (changes.cursor != asked_after or took >= RETRY_SECONDS)
        self._useless = 0 if is_useful else self._useless + 1
        if self._useless <= 1:
            return 0.0
        grown = RETRY_SECONDS * 2.0 ** min(self._useless - 2, 10)
        return min(grown, LONGEST_RETRY_SECONDS) * (1 + self._clock.jitter())

    async def repeat(self, interval: timedelta, *, at_once: bool) -> None:
        """Check the whole fleet every interval, for ever, never two checks at a time (R-094)."""
        if not at_once:
            await asyncio.sleep(self._spread(interval))
        while True:
            self._heartbeats.beat("periodic", 2 * interval.total_seconds() + 60)
            await self._cycle()
            self._failed = self._failed + 1 if self._link.is_away_from(Question.LIST) else 0
            await asyncio.sleep(self._until_next(interval))

    def _until_next(self, interval: timedelta) -> float:
        """Seconds to the next check; one that failed is repeated sooner, then less and less so."""
        usual = self._spread(interval)
        return min(usual, RETRY_SECONDS * 2.0 ** min(self._failed, 20)) if self._failed else usual

    async def _cycle(self) -> None:
        emit(messages.CYCLE_STARTING)
        try:
            await self.check()
        except ControlPlaneError as error:
            self._metrics.cycle_failed()
            if not self._link.is_away_from(Question.LIST):
                emit(messages.LIST_ERROR, reason=error)
            self._link.away(Question.LIST, error)
            return
        except Exception as error:
            self._metrics.cycle_failed()
            emit(messages.CYCLE_ERROR, error)
            self._link.away(Question.LIST, error)
            self._distrust()
            return
        self._link.up(Question.LIST)
        self._metrics.cycle_completed()
        self._tell_waiting()
        reconciled, failed = self._counts.take()
        emit(
            messages.CYCLE_COMPLETE,
            checked=len(self._fleet.states.keys() | self._fleet.unreadable.keys()),
            drift_detected=self._fleet.drifting_count,
            reconciled=reconciled,
            failed=failed,
            unknown=len(self._fleet.unreadable),
            pending=len(self._queue) + self._queue.active,
        )

    def _tell_waiting(self) -> None:
        for instance_id in self._places.waiting(SHOWN_WAITING):
            self._metrics.skipped("concurrency")
            emit(messages.SKIPPED_CONCURRENCY, instance_id=instance_id, limit=self._places.limit)

    async def check(self) -> None:
        """Learn what changed since the last look: its cost grows with changes, not with instances.

        The whole list is taken where no feed tells, after a gap, and every `RELIST_SECONDS`.

        Raises:
            ControlPlaneError: nothing could be learned, and nothing was concluded from that (B-07).
        """
        if self._is_relist_due():
            self._distrust()
        more = True
        while more and self._cursor is not None:
            changes = await self._control_plane.changes(self._cursor, 0)
            self._learn(changes)
            more = len(changes.changes) >= MOST
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

    def _learn(self, changes: Changes) -> str | None:
        """Take in what the feed says; where to go on, `None` for a list because of a gap."""
        if changes.gap:
            emit(messages.FULL_RESYNC, reason="changes were missed")
            self._distrust()
            return None
        if changes.changes:
            self._latest = changes.changes[-1].at, self._clock.now()
        with OneWrite():
            for change in changes.changes:
                self._take(change)
        if self._cursor is not None:
            self._cursor = changes.cursor
        return changes.cursor

    def _is_relist_due(self) -> bool:
        return self._clock.monotonic() >= self._relist_at

    def _distrust(self) -> None:
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

    def _event_lag(self) -> float:
        """Seconds from the last change to when it was taken in; 0 where its time makes no sense."""
        if self._latest is None:
            return 0.0
        at, taken = self._latest
        try:
            return max((taken - datetime.fromisoformat(at)).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return 0.0

    def _spread(self, interval: timedelta) -> float:
        """The interval, up to a tenth shorter or longer, so that daemons do not march in step."""
        return interval.total_seconds() * (1 + JITTER_SHARE * (2 * self._clock.jitter() - 1))
