"""Which instance is worked on next: one worker a key, duplicates folded, nobody forgotten."""

from __future__ import annotations

import asyncio
import heapq
from datetime import datetime

from draas.model.clock import Clock
from draas.model.reconciliation import Trigger

_URGENCY = {
    Trigger.MANUAL: 0,
    Trigger.RESUME: 0,
    Trigger.CHANGE: 1,
    Trigger.RETRY: 1,
    Trigger.RESYNC: 2,
}
_Line = dict[str, int]
"""The keys of one urgency with the number of their arrival, oldest first."""
_AGEING = 4
"""Every so many takes go to whoever has waited longest, so that resync runs under load too."""


class WorkQueue:
    """Keys with a trigger. A key under work that is added again runs again after it (B-42).

    Due times wait here too, outside of any worker (B-43), by a clock that nobody sets.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: tuple[_Line, ...] = ({}, {}, {})
        self._waiting: dict[str, Trigger] = {}
        self._active: set[str] = set()
        self._again: dict[str, Trigger] = {}
        self._due: list[tuple[float, str]] = []
        self._due_of: dict[str, tuple[float, datetime, Trigger]] = {}
        self._arrivals = 0
        self._takes = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._again)

    @property
    def active(self) -> int:
        """How many keys are under work."""
        return len(self._active)

    def waiting(self, most: int) -> list[str]:
        """Up to so many of the keys that wait for a worker."""
        return list(self._waiting)[:most]

    @property
    def worked_on(self) -> frozenset[str]:
        """The keys that are under work."""
        return frozenset(self._active)

    def is_active(self, key: str) -> bool:
        """Whether somebody works on the key."""
        return key in self._active

    def due(self, key: str) -> datetime | None:
        """When the key comes up by itself, if it does."""
        found = self._due_of.get(key)
        return found[1] if found else None

    def add(self, key: str, trigger: Trigger) -> None:
        """Ask for a look at the key; the more urgent trigger wins."""
        if key in self._active:
            known = self._again.get(key)
            if known is None or _URGENCY[trigger] < _URGENCY[known]:
                self._again[key] = trigger
            return
        present = self._waiting.get(key)
        if present is None:
            self._arrivals += 1
            self._lines[_URGENCY[trigger]][key] = self._arrivals
            self._waiting[key] = trigger
        elif _URGENCY[trigger] < _URGENCY[present]:
            arrival = self._lines[_URGENCY[present]].pop(key)
            self._lines[_URGENCY[trigger]][key] = arrival
            self._waiting[key] = trigger
        self._wake.set()

    def add_at(self, key: str, when: datetime, trigger: Trigger = Trigger.RETRY) -> None:
        """Ask for a look at a time; a later call replaces an earlier one."""
        at = self._clock.monotonic() + (when - self._clock.now()).total_seconds()
        self._due_of[key] = (at, when, trigger)
        heapq.heappush(self._due, (at, key))
        self._wake.set()

    def discard(self, key: str) -> None:
        """Forget a key that is gone."""
        trigger = self._waiting.pop(key, None)
        if trigger is not None:
            del self._lines[_URGENCY[trigger]][key]
        self._again.pop(key, None)
        self._due_of.pop(key, None)

    async def take(self) -> tuple[str, Trigger]:
        """The next key, once there is one; `done` must follow."""
        while True:
            self._release_due()
            if self._waiting:
                return self._pick()
            self._wake.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: str) -> None:
        """The key is free again; if it was asked for meanwhile it goes back in line."""
        self._active.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again)

    def _pick(self) -> tuple[str, Trigger]:
        self._takes += 1
        heads = [next(iter(line.items())) for line in self._lines if line]
        by_age = self._takes % _AGEING == 0
        key, _ = min(heads, key=lambda head: head[1]) if by_age else heads[0]
        trigger = self._waiting.pop(key)
        del self._lines[_URGENCY[trigger]][key]
        self._active.add(key)
        if self._waiting:
            self._wake.set()
        return key, trigger

    def _release_due(self) -> None:
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            at, key = heapq.heappop(self._due)
            current = self._due_of.get(key)
            if current is not None and current[0] == at:
                del self._due_of[key]
                self.add(key, current[2])

    def _seconds_to_next(self) -> float | None:
        if not self._due:
            return None
        return max(self._due[0][0] - self._clock.monotonic(), 0.001)
