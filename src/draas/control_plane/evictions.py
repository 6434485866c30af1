"""What is left on this host of instances that were deleted elsewhere, or run elsewhere now."""

from __future__ import annotations

from contextlib import suppress

from draas.contract.problems import ProblemError
from draas.contract.slots import MAIN, SECOND
from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Fleet
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import SlotOccupiedError
from draas.control_plane.records import Loaded, News
from draas.control_plane.traffic import Traffic

_ENDS = ("Applied", "Deleted")
"""Changes after which an instance may run elsewhere, or is no more."""


class Evictions:
    """Ends the process, should one still run, and removes files: they may hold secrets."""

    def __init__(
        self, fleet: Fleet, platforms: Platforms, traffic: Traffic, finisher: Finisher
    ) -> None:
        self._fleet = fleet
        self._platforms = platforms
        self._traffic = traffic
        self._finisher = finisher
        self._gone: frozenset[str] = frozenset()

    def learned(self, news: News | Loaded) -> None:
        """Look through what others wrote."""
        if isinstance(news, Loaded):
            self._gone = news.gone
            return
        for instance_id in {each.instance_id for each in news.changes if each.kind in _ENDS}:
            if not self._is_ours(instance_id):
                self._finisher.spawn(self._evict(instance_id))

    async def look_through(self) -> None:
        """At the start: what moved, or was deleted, while this control plane was away."""
        moved = [each.instance.id for each in self._fleet if not self._fleet.is_here(each)]
        for instance_id in (*moved, *self._gone):
            await self._evict(instance_id)

    def _is_ours(self, instance_id: str) -> bool:
        return instance_id in self._fleet and self._fleet.is_here(self._fleet.get(instance_id))

    async def _evict(self, instance_id: str) -> None:
        for platform in self._platforms:
            if self._is_ours(instance_id):
                return
            with suppress(SlotOccupiedError, ProblemError, TimeoutError, OSError):
                await self._traffic.withdraw(instance_id)
                for name in (MAIN, SECOND):
                    await platform.stop(instance_id, name)
                await platform.remove(instance_id)
