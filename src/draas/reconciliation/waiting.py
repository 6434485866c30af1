"""Waiting within a protected section: for a time, or for news of an instance."""

from __future__ import annotations

import asyncio
from datetime import datetime

from draas.model.clock import Clock

RECHECK_SECONDS = 0.5
"""How long a verification waits for news before it reads again: news are hints (B-40)."""


class Waiting:
    """Lets a worker sleep until something happened to its instance."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._news: dict[str, asyncio.Event] = {}

    async def until(self, when: datetime) -> None:
        """Sleep until then."""
        await asyncio.sleep(max((when - self._clock.now()).total_seconds(), 0))

    async def for_news(self, instance_id: str, left: float) -> None:
        """Sleep until there is news of the instance, half a second or `left` seconds are over."""
        event = self._news.setdefault(instance_id, asyncio.Event())
        try:
            async with asyncio.timeout(max(min(left, RECHECK_SECONDS), 0.01)):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._news.pop(instance_id, None)

    def tell(self, instance_id: str) -> None:
        """There is news of the instance."""
        event = self._news.get(instance_id)
        if event is not None:
            event.set()
