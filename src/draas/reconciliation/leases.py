"""Who holds what among several daemons: members that are alive, and names that are leased."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Member:
    """A daemon as the others see it: where it is managed, and what it tells them (JSON)."""

    id: str
    url: str = ""
    told: str = "{}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a member stands after a beat: who is alive, and what it holds with which fence."""

    members: tuple[Member, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)


class Leases(Protocol):
    """Leases live as long as their holder beats. Every call may raise `StoreError`.

    The fence of an acquisition is above every earlier one of the name, and at least the
    milliseconds of the clock that decides: it grows even where what was kept is lost.
    `exclusive` says that nobody else can hold anything here as long as this process lives.
    """

    exclusive: bool

    async def beat(self, me: Member, ttl: float) -> Standing:
        """Be alive for `ttl` seconds from now, and with this everything that is held."""
        ...

    async def acquire(self, member_id: str, names: Collection[str]) -> dict[str, int]:
        """Take those of the names that no live member holds; their fences."""
        ...

    async def release(self, member_id: str, names: Collection[str]) -> None:
        """Let go of names."""
        ...

    async def leave(self, member_id: str) -> None:
        """Let go of everything and be no member any more."""
        ...
