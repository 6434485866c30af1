"""What makes the daemon look: the change feed, the periodic resync. Both only enqueue keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import timedelta

from draas.client.port import ControlPlane, ControlPlaneError, GarbageError, UnreachableError
from draas.contract.feed import Changes
from draas.model.clock import Clock
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.heartbeats import Heartbeats
from draas.reconciliation.intake import Intake
from draas.reconciliation.link import Link, Question
from draas.reconciliation.places import Places
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

LONG_POLL_SECONDS = 10.0
"""A control plane that hangs is noticed when a poll is not answered."""
RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
JITTER_SHARE = 0.1
SHOWN_WAITING = 20


class Triggers:
    """The event loop and the periodic loop, independent of each other (D-03).

    `under_way` names the instances that are being reconciled, which count as drifting.
    """

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        intake: Intake,
        fleet: Fleet,
        queue: WorkQueue,
        places: Places,
        link: Link,
        counts: CycleCounts,
        heartbeats: Heartbeats,
        clock: Clock,
        metrics: DaemonMetrics,
        under_way: Callable[[], AbstractSet[str]],
    ) -> None:
        self._under_way = under_way
        self.intake = intake
        self._control_plane = control_plane
        self._fleet = fleet
        self._queue = queue
        self._places = places
        self._link = link
        self._counts = counts
        self._heartbeats = heartbeats
        self._clock = clock
        self._metrics = metrics
        self._useless = self._failed = self._unreadable = 0

    async def follow(self) -> None:
        """Follow the change feed for ever; a gap or a failed start means a full resync (B-36).

        The cursor moves only past what is in the queue; an outage leaves it where it is (B-33).
        What cannot be read would be the same again: a list makes up for it.
        The first question after an outage asks for an answer at once: it tells that it is over.
        """
        cursor: str | None = None
        while True:
            self._heartbeats.beat("events", LONG_POLL_SECONDS + 60)
            wait, asked = 0.0, self._clock.monotonic()
            try:
                if self.intake.is_relist_due():
                    self.intake.distrust()
                    cursor = None
                if cursor is None:
                    cursor = await self.intake.resync() or ""
                wait, asked = self._patience(), self._clock.monotonic()
                changes = await self._control_plane.changes(cursor, wait)
            except ControlPlaneError as error:
                if not isinstance(error, UnreachableError):
                    emit(messages.CHANGES_READ_ERROR, reason=error)
                late = max(self._clock.monotonic() - asked - wait, 0.0)
                self._link.away(Question.CHANGES, error, late)
                if isinstance(error, GarbageError):
                    self.intake.distrust()
                    cursor = None
                    self._unreadable += 1
                await asyncio.sleep(self._grown(max(self._unreadable, 1)))
                continue
            except Exception as error:
                emit(messages.EVENT_POLL_ERROR, error)
                self._link.away(Question.CHANGES, error)
                self.intake.distrust()
                cursor = None
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._link.up(Question.CHANGES)
            self._unreadable = 0
            pause = self._pause(changes, cursor, self._clock.monotonic() - asked)
            cursor = self.intake.learn(changes)
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
        return self._grown(self._useless - 1)

    def _grown(self, times: int) -> float:
        """Seconds to wait after so many useless answers in a row."""
        grown = RETRY_SECONDS * 2.0 ** min(times - 1, 10)
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
            await self.intake.check()
        except ControlPlaneError as error:
            self._metrics.cycle_failed()
            if not self._link.is_away_from(Question.LIST):
                emit(messages.LIST_ERROR, reason=error)
            self._link.away(Question.LIST, error)
            if isinstance(error, GarbageError):
                self.intake.distrust()
            return
        except Exception as error:
            self._metrics.cycle_failed()
            emit(messages.CYCLE_ERROR, error)
            self._link.away(Question.LIST, error)
            self.intake.distrust()
            return
        self._link.up(Question.LIST)
        self._metrics.cycle_completed()
        self._tell_waiting()
        finished = self._counts.take()
        emit(
            messages.CYCLE_COMPLETE,
            checked=len(self._fleet.states.keys() | self._fleet.unreadable.keys()),
            drift_detected=self._fleet.drifting_with(self._under_way() | finished.instances),
            reconciled=finished.reconciled,
            failed=finished.failed,
            unknown=len(self._fleet.unreadable),
            pending=len(self._queue) + self._queue.active,
        )

    def _tell_waiting(self) -> None:
        for instance_id in self._places.waiting(SHOWN_WAITING):
            self._metrics.skipped("concurrency")
            emit(messages.SKIPPED_CONCURRENCY, instance_id=instance_id, limit=self._places.limit)

    def _spread(self, interval: timedelta) -> float:
        """The interval, up to a tenth shorter or longer, so that daemons do not march in step."""
        return interval.total_seconds() * (1 + JITTER_SHARE * (2 * self._clock.jitter() - 1))
