"""Carries what has begun to its end, whoever goes away and however long the store is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from draas.control_plane.fleet import Decide, Fleet, Transition
from draas.control_plane.ownership import require_here
from draas.control_plane.records import Record
from draas.control_plane.store import StoreError

T = TypeVar("T")
STORE_RETRY = 0.5
"""Seconds until a result that could not be stored is tried again."""
LONGEST_WORK = 60.0
"""Seconds that work under way gets when the control plane ends."""


class Finisher:
    """Work that nobody's cancellation ends, and results that must reach the store."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._under_way: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run the work apart from who asks for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def settled(self, instance_id: str, decide: Decide) -> Record | None:
        """Store what has happened already; again until the store takes it.

        Raises:
            ElsewhereError: another host took the instance meanwhile, so that this counts no more.
        """

        def here(record: Record | None) -> Transition:
            if record is not None:
                require_here(record, self._fleet.host)
            return decide(record)

        while True:
            try:
                return await self._fleet.change(instance_id, here)
            except StoreError:
                await asyncio.sleep(STORE_RETRY)

    async def close(self) -> None:
        """Wait for all work that has begun; what the store does not take is found at the start."""
        if self._under_way:
            _, left = await asyncio.wait(self._under_way, timeout=LONGEST_WORK)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
