"""Leases in memory, held to account by the same contract suite as the SQL ones."""

from __future__ import annotations

from collections.abc import Collection

from draas.model.clock import Clock
from draas.reconciliation.leases import Member, Standing
from draas.reconciliation.store import StoreError


class MemoryLeases:
    """`draas.reconciliation.leases.Leases`; it outlives the daemons that use it.

    While `broken` every call raises StoreError and keeps nothing.
    """

    def __init__(self, clock: Clock, *, exclusive: bool = False) -> None:
        self.exclusive = exclusive
        self.broken = False
        self._clock = clock
        self._members: dict[str, tuple[Member, float]] = {}
        self._held: dict[str, tuple[str, int]] = {}

    async def beat(self, me: Member, ttl: float) -> Standing:
        """See the port."""
        self._available()
        if self.exclusive:
            self._members.clear()
        self._members[me.id] = (me, self._clock.monotonic() + ttl)
        live = tuple(member for member, _ in self._members.values() if self._lives(member.id))
        held = {name: fence for name, (by, fence) in self._held.items() if by == me.id}
        return Standing(live, held)

    async def acquire(self, member_id: str, names: Collection[str]) -> dict[str, int]:
        """See the port."""
        self._available()
        taken = {}
        for name in names:
            holder, fence = self._held.get(name, ("", 0))
            if holder == member_id or not self._lives(holder):
                taken[name] = max(fence + 1, int(self._clock.now().timestamp() * 1000))
                self._held[name] = (member_id, taken[name])
        return taken

    async def release(self, member_id: str, names: Collection[str]) -> None:
        """See the port."""
        self._available()
        for name in names:
            holder, fence = self._held.get(name, ("", 0))
            if holder == member_id:
                self._held[name] = ("", fence)

    async def leave(self, member_id: str) -> None:
        """See the port."""
        await self.release(member_id, list(self._held))
        self._members.pop(member_id, None)

    def fence(self, name: str) -> int:
        """The newest fence of a name; for who looks at a world from outside."""
        return self._held.get(name, ("", 0))[1]

    def _lives(self, member_id: str) -> bool:
        _, until = self._members.get(member_id, (None, 0.0))
        return until > self._clock.monotonic()

    def _available(self) -> None:
        if self.broken:
            raise StoreError("the leases are broken on purpose")
