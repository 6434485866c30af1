"""Which of an instance's hosts leads, and how the lead goes from one to the other.

A continuous query sees the whole stream of changes in order, so one host, the leader, applies
changes in its own order and numbers them. A follower applies the same changes in the same order,
holds its reactions, except where clients connect to it, and sends what is pushed to its leader. A
sealed host has given up the lead: pushes wait there until its successor leads, and are then sent to
it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED, SOURCE
from draas.instance_host.change_log import ChangeLog
from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError, NotLeadingError, StartError, not_now, wrong_role
from draas.instance_host.following import Following
from draas.instance_host.peers import base_url, forward, leads
from draas.instance_host.query_set import QuerySet
from draas.instance_host.reaction_set import ReactionSet
from draas.instance_host.registry import Registry, Source
from draas.instance_host.settling import Settling
from draas.instance_host.source_set import SourceSet
from draas.instance_host.succession import Succession
from draas.instance_host.transfer import Header

HOLD_SECONDS = 2.0
"""How much longer than a seal and a promotion a push waits for a leader."""
HOPS = 4
"""Between how many hosts a push may be sent, before it is taken for going in circles."""

_log = logging.getLogger("draas.instance")


class Handover:
    """The role of this host; without a second one it leads from start to end.

    `changing` is held while the role changes: components stay as they are meanwhile.
    """

    def __init__(
        self,
        registry: Registry,
        log: ChangeLog,
        new_term: Callable[[], str],
        changing: asyncio.Lock,
        sources: SourceSet,
        queries: QuerySet,
        reactions: ReactionSet,
    ) -> None:
        self.role = LEADER
        self.peer: str | None = None
        self.log = log
        self._registry = registry
        self._new_term = new_term
        self._sources = sources
        self._reactions = reactions
        self._settling = Settling(registry, queries, reactions)
        self._following: Following | None = None
        self._succession = Succession()
        self._changing = changing
        sources.intake = self.take

    def state(self) -> dict[str, Any]:
        """What `GET /handover` answers."""
        lag: int | None = 0
        error = None
        if self._following is not None:
            lag, error = self._following.lag, self._following.error
        return {
            "role": self.role,
            "sequence": self.log.sequence,
            "leader": self.peer,
            "lag": lag,
            "error": error,
            "sources": {
                source.id: {"elements": len(source.elements)}
                for source in self._registry.sources.values()
                if source.feeder is not None
            },
        }

    async def close(self) -> None:
        """End what runs in the background."""
        await self._succession.stop()
        if self._following is not None:
            await self._following.stop()

    # at the start

    def hold(self) -> None:
        """Before components are loaded: neither generate nor react, elements come first."""
        self._sources.leads = False
        self._reactions.held = self._reactions.loading = True

    async def restore(self, header: Header, elements: list[tuple[str, Change]]) -> None:
        """Take the elements of a file as what was there before, and lead."""
        for source_id, element in elements:
            source = self._registry.sources.get(source_id)
            if source is not None and source.feeder is not None:
                await self._sources.follow(source, element)
        self.log.adopt(header.sequence, header.terms)
        await self._settling.loaded()
        await self._lead()

    async def join(self, leader: str) -> None:
        """Become a follower with the leader's elements; `StartError` when that fails."""
        try:
            self._become(FOLLOWER, base_url(leader, "URL"))
            self.log.open()
            self._following = self._new_following()
            await self._following.load()
            await self._settling.loaded()
        except (OSError, TimeoutError, ValueError, ApiError) as error:
            reason = str(error) or type(error).__name__
            raise StartError(f"--follow {leader}: {reason}") from error
        self._following.start()

    # changes

    async def take(self, source_id: str, change: Change, hops: int = 0) -> None:
        """Apply a client's change here or wherever the leader is; `ApiError` when it is refused.

        After a 503 nothing was applied, or nobody knows.
        """
        hold = 2 * self._settling.seconds + HOLD_SECONDS
        give_up = asyncio.get_running_loop().time() + hold
        while True:
            if self.role == LEADER:
                source = self._registry.get(SOURCE, source_id)
                assert isinstance(source, Source)
                with suppress(NotLeadingError):
                    await self._sources.feed(source, change)
                    return
            elif self.role == FOLLOWER or self._succession.leads:
                if hops >= HOPS or self.peer is None:
                    raise not_now("the hosts of the instance do not agree who leads: try again")
                await forward(self.peer, source_id, change, hops + 1)
                return
            else:
                try:
                    async with asyncio.timeout_at(give_up):
                        await self._succession.turn()
                except TimeoutError:
                    raise not_now("no host of the instance leads: try again") from None

    # the lead goes from one to the other

    async def seal(self, successor: str | None, *, ending: bool = False) -> int:
        """Take no more changes; the last number, once all of them are processed and delivered.

        Without a `successor` pushes wait until this host leads on. Where it is `ending` only
        queries whose results somebody takes are waited for, and what takes too long is left: the
        log tells that results are lost, and the elements are kept.

        `ApiError` (503) when it takes too long: then this host leads as before.
        """
        async with self._changing:
            if self.role == FOLLOWER:
                raise wrong_role("this host follows: seal its leader")
            if self.role == LEADER:
                await (self._seal_at_the_end() if ending else self._seal(successor))
                self.log.open()
            self.peer = successor
            await self._succession.stop()
            if successor is not None:
                self._succession.watch(successor)
            return self.log.sequence

    async def _seal(self, successor: str | None) -> None:
        await self._settling.deliver()  # before pushes have to wait
        self._become(SEALED, successor)
        async with self._or_lead_on():
            await self._sources.rest()
            await self._settling.delivered()
            await self._reactions.hold()

    async def _seal_at_the_end(self) -> None:
        self._become(SEALED, None)
        async with self._or_lead_on():
            await self._sources.rest()
        await self._settling.last_words()
        async with self._or_lead_on():
            await self._reactions.hold()

    async def unseal(self) -> None:
        """Lead again, because the successor does not."""
        async with self._changing:
            if self.role == FOLLOWER:
                raise wrong_role("this host follows: promote it")
            if self.role == SEALED:
                if await leads(self.peer):
                    raise wrong_role("the successor leads: let this host follow it")
                await self._lead()

    async def promote(self, sequence: int | None) -> None:
        """Lead after change `sequence` of the sealed leader.

        None is for a leader that is dead: this host leads with what it has, and what the dead one
        had not passed on is lost. It is refused while that one answers that it leads.

        Reactions get the results of later changes only. `ApiError` leaves it a follower.
        """
        async with self._changing:
            if self.role == SEALED:
                raise wrong_role("this host is sealed: unseal it, or let it follow")
            if self._following is None:
                return
            if sequence is not None:
                await self._following.reach(sequence, self._settling.seconds)
            elif await leads(self.peer):
                raise wrong_role("the leader is alive: seal it, and promote with its last change")
            await self._following.stop()
            try:
                await self._settling.through()
            except ApiError:
                self._following.start()
                raise
            self._following = None
            await self._lead()

    async def settle(self, sequence: int) -> None:
        """Return when this follower is through with change `sequence` of its sealed leader.

        Its queries' rows are then those of that change. `ApiError` (503) when it takes too long.
        """
        async with self._changing:
            if self._following is None:
                raise wrong_role("this host follows nobody: a seal settles a leader")
            await self._following.reach(sequence, self._settling.seconds)
            await self._settling.through()

    async def follow(self, leader: str) -> None:
        """From sealed: apply the changes of the new leader."""
        async with self._changing:
            if self.role == LEADER:
                raise wrong_role("this host leads: seal it first, or changes would be lost")
            await self._succession.stop()
            if self._following is not None:
                await self._following.stop()
            self._become(FOLLOWER, leader)
            self._following = self._new_following()
            self._following.start()

    def _new_following(self) -> Following:
        return Following(self.peer or "", self.log, self._registry, self._sources)

    async def _lead(self) -> None:
        self.log.begin_term(self._new_term())
        await self._succession.stop()
        await self._lead_on()

    async def _lead_on(self) -> None:
        await self._reactions.release()
        generating = self._sources.lead()
        self._become(LEADER, None)
        for feeder in generating:
            await feeder.start()

    def _become(self, role: str, peer: str | None) -> None:
        self.role, self.peer = role, peer
        where = f", with {peer}" if peer else ""
        _log.info("this host is %s at change %s%s", role, self.log.sequence, where)
        self._succession.begin_anew()

    @asynccontextmanager
    async def _or_lead_on(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._settling.seconds):
                yield
        except Exception as error:
            await self._lead_on()
            raise not_now(
                f"queries and reactions did not get through with all changes "
                f"({type(error).__name__}): this host leads as before"
            ) from error
