"""Events and log lines of components: the newest hundred of each, and live followers."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from draas.contract.drasi_server import ERROR, REMOVED
from draas.model.clock import Clock

KEPT = 100
FOLLOWER_BACKLOG = 1000
EVENTS = "events"
LOGS = "logs"

_LEVELS = {"Info": logging.INFO, "Warn": logging.WARNING, "Error": logging.ERROR}
_log = logging.getLogger("draas.instance")

Entry = dict[str, Any]


class Journal:
    """Writes down what happens to components, and prints it to the process's log."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str, str], deque[Entry]] = {}
        self._followers: set[tuple[tuple[str, str, str] | None, asyncio.Queue[Entry | None]]] = (
            set()
        )

    def event(self, kind: str, component_id: str, status: str, message: str) -> None:
        """A component came to `status`; also a log line, at error level for Error."""
        entry = self._entry(kind, component_id, message)
        self._keep((EVENTS, kind, component_id), {**entry, "status": status})
        self.log(kind, component_id, "Error" if status == ERROR else "Info", message)

    def log(self, kind: str, component_id: str, level: str, message: str) -> None:
        """A line about a component; `message` never holds a property's value."""
        _log.log(_LEVELS[level], "%s '%s': %s", kind, component_id, message)
        entry = self._entry(kind, component_id, message)
        self._keep((LOGS, kind, component_id), {**entry, "level": level})

    def newest(self, topic: str, kind: str, component_id: str, limit: int = KEPT) -> list[Entry]:
        """The last entries of a component, oldest first."""
        entries = list(self._kept.get((topic, kind, component_id), ()))
        return entries[-limit:] if limit > 0 else []

    def removed(self, kind: str, component_id: str) -> None:
        """The last event of a component that was deleted; nothing is kept, and followers end."""
        self.event(kind, component_id, REMOVED, f"{kind} removed")
        for topic in (EVENTS, LOGS):
            key = (topic, kind, component_id)
            self._kept.pop(key, None)
            for queue in [queue for wanted, queue in self._followers if wanted == key]:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(None)

    async def follow(self, topic: str, kind: str, component_id: str) -> AsyncIterator[Entry]:
        """The kept entries of a component, then new ones until it is deleted."""
        async for entry in self._follow((topic, kind, component_id)):
            yield entry

    async def follow_events(self) -> AsyncIterator[Entry]:
        """Events of all components from now on."""
        async for entry in self._follow(None):
            yield entry

    async def _follow(self, key: tuple[str, str, str] | None) -> AsyncIterator[Entry]:
        queue: asyncio.Queue[Entry | None] = asyncio.Queue(FOLLOWER_BACKLOG)
        for kept in self._kept.get(key, ()) if key else ():
            queue.put_nowait(kept)
        follower = (key, queue)
        self._followers.add(follower)
        try:
            while (entry := await queue.get()) is not None:
                yield entry
        finally:
            self._followers.discard(follower)

    def _keep(self, key: tuple[str, str, str], entry: Entry) -> None:
        self._kept.setdefault(key, deque(maxlen=KEPT)).append(entry)
        for wanted, queue in self._followers:
            if (wanted == key or (wanted is None and key[0] == EVENTS)) and not queue.full():
                queue.put_nowait(entry)

    def _entry(self, kind: str, component_id: str, message: str) -> Entry:
        return {
            "timestamp": self._clock.now().isoformat().replace("+00:00", "Z"),
            "componentId": component_id,
            "componentType": kind.capitalize(),
            "message": message,
        }
