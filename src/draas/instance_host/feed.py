"""How one query gets the changes of one source: through an engine source that it alone reads.

Engine 0.9.3 goes on to queue changes for a query that failed, even after it was removed, and lets
no change into its source once that queue is full: whoever pushes waits for ever. With a source of
its own a failed query holds up nobody, and what waits for it is given up.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from typing import Any, cast

from drasi import Drasi, DrasiError

from draas.instance_host.elements import Change
from draas.instance_host.errors import invalid
from draas.model.clock import Clock, nanoseconds

SUBSCRIBER_BUFFER = 1000
"""Changes that the engine keeps for a query between a source and the query's own queue."""
MARKER: Change = {"op": "delete", "id": "__draas/settled", "labels": ["__draas"]}
"""The deletion of an element that never was: it passes through a query and changes nothing."""
MARKERS_AT_ONCE = 64
SETTLED_AT_ONCE = 8
"""More at a time take no less time, and who gives up has to wait for all that are under way."""
CLOCK_WAS_SET_BACK = sys.maxsize
"""In place of the time of a push: no result can be told to be of it or of a later one."""

Deliver = Callable[[dict[str, Any]], None]

REFUSALS = (DrasiError, TypeError, ValueError, OverflowError, KeyError)
"""What the binding raises for what it cannot take."""


class Feed:
    """An engine source that at most one query reads."""

    def __init__(self, drasi: Drasi, engine_id: str, clock: Clock) -> None:
        self.engine_id = engine_id
        self.is_closed = False
        self._drasi = drasi
        self._clock = clock
        self._pushed_ns = self._processed_ns = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def push(self, change: Change) -> asyncio.Future[None]:
        """Begin to hand a change to the query; cancelled when the feed is closed meanwhile."""
        now_ns = nanoseconds(self._clock.now())
        self._pushed_ns = now_ns if now_ns > self._pushed_ns else CLOCK_WAS_SET_BACK
        return self._handed(change)

    def processed(self, sent_ns: int) -> None:
        """A result came of the change that entered the engine then; called from its threads."""
        self._processed_ns = max(self._processed_ns, sent_ns)

    def _handed(self, change: Change) -> asyncio.Future[None]:
        pushed = self._drasi.push_change(self.engine_id, cast(Any, change))
        waiting = cast("asyncio.Future[None]", pushed)
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)
        return waiting

    async def settle(self, capacity: int) -> None:
        """Return when the query, whose queue holds `capacity`, is through with what was pushed.

        A result of the last change says so. A change without a result needs markers, some 0.1 s of
        a core: the engine says of no query how far it is, but its queues are bounded, in order, and
        never drop, so once as many were taken as fit between the source and the query, all that
        came before the first of them is through. One more is with the task that forwards, one with
        the query, and one makes it certain.
        """
        pushed_ns = self._pushed_ns
        left = SUBSCRIBER_BUFFER + capacity + 3
        while left > 0 and self._processed_ns < pushed_ns and not self.is_closed:
            markers = [self._handed(MARKER) for _ in range(min(left, MARKERS_AT_ONCE))]
            await asyncio.gather(*markers, return_exceptions=True)
            left -= len(markers)
        if self._pushed_ns == pushed_ns:
            self._pushed_ns = self._processed_ns = 0

    def close(self) -> None:
        """The query takes nothing any more; who waits for it goes on."""
        self.is_closed = True
        for waiting in list(self._waiting):
            waiting.cancel()


async def push_to(feeds: Iterable[Feed], change: Change) -> None:
    """Hand one change to several queries; `ApiError` (400) if it is malformed, for all alike."""
    pushed: list[tuple[Feed, asyncio.Future[None]]] = []
    try:
        for feed in feeds:
            pushed.append((feed, feed.push(change)))
        outcomes = await asyncio.gather(*(each for _, each in pushed), return_exceptions=True)
        for (feed, _), outcome in zip(pushed, outcomes, strict=True):
            if isinstance(outcome, BaseException) and not feed.is_closed:
                raise outcome
    except REFUSALS as error:
        raise invalid("the engine refused the change", str(error)) from error


async def settle_all(feeds: Iterable[tuple[Feed, int]]) -> None:
    """Return when the query of each feed, whose queue has the capacity named, is through."""
    places = asyncio.Semaphore(SETTLED_AT_ONCE)

    async def settle(feed: Feed, capacity: int) -> None:
        async with places:
            await feed.settle(capacity)

    await asyncio.gather(*(settle(feed, capacity) for feed, capacity in feeds))


def noting_causes(feeds: Iterable[Feed], deliver: Deliver) -> Deliver:
    """Delivers results, and tells each feed how far the query is with it."""
    by_id = {feed.engine_id: feed for feed in feeds}

    def take(event: dict[str, Any]) -> None:
        feed = by_id.get((event.get("metadata") or {}).get("source_id", ""))
        sent_ns = (event.get("profiling") or {}).get("source_send_ns")
        if feed is not None and sent_ns is not None:  # time alone causes results too
            feed.processed(sent_ns)
        deliver(event)

    return take
