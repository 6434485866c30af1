"""What a server that leads or follows another one can be asked."""

from __future__ import annotations

from typing import Any, Protocol

from draas.contract.slots import Followed
from draas.control_plane.ports import Running


class HandoverError(Exception):
    """The server refused, or did not answer; what it says names no data."""


class NoHandoverError(HandoverError):
    """The server knows of no hand-over, as one of another make does not."""


class Handover(Protocol):
    """Moves the lead between the slots of an instance. Every call may raise `HandoverError`."""

    async def status(self, running: Running) -> Followed:
        """Who leads, how far it is."""
        ...

    async def seal(self, leader: Running, successor: Running | None) -> int:
        """Let it take no more changes, and finish those that it has; the last one's number.

        What comes meanwhile waits, for the successor or for the end of the seal.
        """
        ...

    async def unseal(self, leader: Running) -> None:
        """Let it lead on, as the successor did not take over."""
        ...

    async def settle(self, follower: Running, sequence: int) -> None:
        """Return once it is through with that change of its sealed leader: rows are those of it."""
        ...

    async def promote(self, follower: Running, sequence: int | None) -> None:
        """Let it lead, from that change on; `None` from wherever it is, as its leader is gone."""
        ...

    async def rows(self, running: Running, query: str) -> list[Any]:
        """The rows that a query has now."""
        ...

    async def follow(self, sealed: Running, leader: Running) -> None:
        """Let one that led follow its successor."""
        ...
