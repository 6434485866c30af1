"""The store that the control plane needs: one writer, atomic changes, nothing lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from draas.contract.feed import Change
from draas.control_plane.records import Answer, Generation, Host, Loaded, News, Write

Anew = Callable[[News | Loaded], Sequence[Write]]
"""Takes in what others wrote, and decides again."""


class StoreError(Exception):
    """The store did not do it (unreachable, locked, full, or written by another): nothing changed.

    The text names no content of the store.
    """


class Store(Protocol):
    """Keeps records, configurations and changes; every method may raise `StoreError`.

    `shared` says whether other control planes can write to it.
    """

    shared: bool

    async def load(self) -> Loaded:
        """Everything but configurations and changes."""
        ...

    async def write(
        self,
        writes: Sequence[Write],
        *,
        after: int,
        keep: int,
        generations: int | None = None,
        anew: Anew | None = None,
    ) -> None:
        """Write all in one transaction that is durable on return, or nothing.

        The changes carry the sequences that follow `after`. If the store's sequence is not
        `after`, somebody else wrote to it (compare-and-set, B-51): in a shared store `anew` says
        what to write instead, while nobody else can write; otherwise nothing is written.
        Changes older than the newest `keep` are forgotten, and of each configuration that gets a
        new one all generations but the newest `generations` and those in use (`None`: none is).
        """
        ...

    async def news(self, after: int) -> News | Loaded | None:
        """What was written since; everything, where changes are missing; `None`: nothing was."""
        ...

    async def listen(self, heard: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled, call `heard` when another may have written, and now and then."""
        ...

    async def beat(self, host_id: str, url: str, ttl: float) -> list[Host]:
        """Be alive at `url` for `ttl` seconds from now, by the store's clock; all hosts by id."""
        ...

    async def forget_host(self, host_id: str) -> None:
        """Let a host be none any more."""
        ...

    async def configuration(self, instance_id: str, generation: int) -> Generation | None:
        """One generation of a configuration."""
        ...

    async def generations(self, instance_id: str) -> list[Generation]:
        """All generations, newest first, with empty documents."""
        ...

    def configurations(self) -> AsyncIterator[Generation]:
        """The present configuration of every instance, ordered by id, in chunks from the store."""
        ...

    async def changes(self, after: int, limit: int) -> list[Change]:
        """At most `limit` changes after a sequence, ascending."""
        ...

    async def changes_since(self, at: str, new_status: str | None) -> list[Change]:
        """Changes that happened at or after `at` and have a new status (`new_status` if given)."""
        ...

    async def answer(self, instance_id: str, key: str) -> Answer | None:
        """The answer that was kept for a key of an instance."""
        ...

    async def keep_answer(self, instance_id: str, answer: Answer, most: int) -> None:
        """Keep an answer, and of the instance's answers only the newest `most`.

        One of an instance that is gone, or for a key that has one, is not kept.
        """
        ...

    async def ping(self) -> None:
        """Prove that the store answers."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...
