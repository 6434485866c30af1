"""Which instances this daemon works on: shards, held by leases among any number of daemons."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from draas.decide.assign import FLEET, NAMES, assignment, shard_name, shard_of
from draas.model.clock import Clock
from draas.reconciliation.leases import Leases, Member
from draas.reconciliation.store import LeaseLostError, StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit

TTL_SECONDS = 6.0
"""How long a lease outlives the last beat of its holder."""
BEAT_SECONDS = 2.0
LOCAL_SHARE = 0.8
"""The share of the TTL after which a holder that could not beat stops by itself."""
RETAKE_SECONDS = 300.0
"""How long a shard is left to a daemon with leases of its own, which may be gone by then."""


class Shards:
    """Keeps this daemon a member, and holds its share of the shards.

    `url` is where the others reach this one, once that is known. `take` is told the fences of
    shards that came, and reads what was left there; `drop` the shards that went; `busy` says in
    which of some shards somebody is at work; `tell` is what the other members are to know.
    `trouble` is why the last beat failed, if it did.
    """

    def __init__(
        self,
        leases: Leases,
        clock: Clock,
        *,
        take: Callable[[Mapping[int, int]], Awaitable[None]],
        drop: Callable[[Collection[int]], None],
        busy: Callable[[Collection[int]], Collection[int]],
        tell: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._leases = leases
        self._clock = clock
        self.url = ""
        self._take, self._drop, self._busy, self._tell = take, drop, busy, tell
        self._held: dict[str, int] = {}
        self._leaving: set[str] = set()
        self._contested: dict[str, float] = {}
        self._outranked: set[str] = set()
        self._valid_until = float("-inf")
        self.trouble = ""
        self.member_id = clock.new_id()
        self.members: tuple[Member, ...] = ()
        self._dealt: dict[str, str] = {}

    @property
    def held(self) -> list[int]:
        """The shards that are worked on here now."""
        return sorted(
            NAMES[name] for name in self._held.keys() & NAMES.keys() - self._contested.keys()
        )

    @property
    def leads(self) -> bool:
        """Whether this daemon does what one does for all."""
        return FLEET in self._held and self.is_valid

    def owns(self, instance_id: str) -> bool:
        """Whether work on the instance may begin here."""
        name = shard_name(shard_of(instance_id))
        kept = name in self._held and name not in self._leaving | self._contested.keys()
        return kept and self.is_valid

    def fence(self, instance_id: str) -> int:
        """The fence under which work on the instance goes on.

        Raises:
            LeaseLostError: it must not go on.
        """
        name = shard_name(shard_of(instance_id))
        if name not in self._held or name in self._contested or not self.is_valid:
            raise LeaseLostError(f"{name} with instance {instance_id!r} is not held any more")
        return self._held[name]

    def owner_url(self, instance_id: str) -> str | None:
        """Where the instance is managed, `None` if that is here or nobody knows."""
        return self._place(shard_name(shard_of(instance_id)))

    def leader_url(self) -> str | None:
        """Where the daemon is managed that does what one does for all, `None` if that is here."""
        return self._place(FLEET)

    def other_urls(self) -> list[str]:
        """Where the other members are reached."""
        urls = {each.url for each in self.members} - {self.url, ""}
        return sorted(urls)

    def told(self) -> list[dict[str, Any]]:
        """What the other live members tell."""
        return [json.loads(each.told) for each in self.members if each.id != self.member_id]

    def is_left_to_rival(self, instance_id: str) -> bool:
        """Whether a daemon with leases of its own has taken the instance."""
        return shard_name(shard_of(instance_id)) in self._contested

    def contest(self, instance_id: str, fence: int) -> None:
        """Somebody with a newer fence was obeyed: nothing is done there until it is known why.

        What leases of its own have taken is left to it for `RETAKE_SECONDS`.
        """
        name = shard_name(shard_of(instance_id))
        if self._held.get(name) == fence:
            self._contested.setdefault(name, self._clock.monotonic())

    async def beat_forever(self) -> None:
        """Beat until cancelled; while the store is away, what is held lapses by itself."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.beat()
                self.trouble = ""
            except StoreError as error:
                self.trouble = str(error)
                emit(messages.STORE_ERROR, reason=error)

    async def beat(self) -> None:
        """Stay a member, let go of what others should hold, take what should be held here.

        Raises:
            StoreError: nothing is known anew.
        """
        if self._held and not self.is_valid:
            emit(messages.LEASES_LAPSED)
            self._forget(set(self._held))
            self.member_id = self._clock.new_id()
        began = self._clock.monotonic()
        me = Member(self.member_id, self.url, json.dumps(self._tell()))
        standing = await self._leases.beat(me, TTL_SECONDS)
        self._valid_until = began + LOCAL_SHARE * TTL_SECONDS
        self.members = standing.members
        self._settle(standing.held)
        await self._take_back()
        await self._share()

    async def leave(self) -> None:
        """Let others go on at once. What cannot be told now lapses by itself."""
        self._forget(set(self._held))
        try:
            await self._leases.leave(self.member_id)
        except StoreError as error:
            emit(messages.STORE_ERROR, reason=error)

    @property
    def is_valid(self) -> bool:
        """Whether the store was heard of lately enough to believe that what is held is held."""
        return self._leases.exclusive or self._clock.monotonic() < self._valid_until

    def _settle(self, held: Mapping[str, int]) -> None:
        """Believe the leases: what is not held there is lost.

        A contested shard that is still held was taken by a daemon with leases of its own: there is
        no way to agree with it.
        """
        self._forget({name for name, fence in self._held.items() if held.get(name) != fence})
        self._contested = {
            name: self._contested[name] for name in self._contested & self._held.keys()
        }
        if rivals := self._contested.keys() - self._outranked:
            emit(messages.OUTRANKED, shards=", ".join(sorted(rivals)))
        self._outranked = set(self._contested)

    async def _take_back(self) -> None:
        """Let go of what was long left to rivals, to take it under a fence newer than theirs.

        One that is still there loses it by that, and takes it back in the same way: somebody works
        on each instance at any time.
        """
        began = self._clock.monotonic() - RETAKE_SECONDS
        if long := {name for name, at in self._contested.items() if at <= began}:
            self._forget(long)
            self._contested = {n: at for n, at in self._contested.items() if n not in long}
            await self._leases.release(self.member_id, long)

    def _place(self, name: str) -> str | None:
        holder = None if name in self._held else self._dealt.get(name)
        url = next((member.url for member in self.members if member.id == holder), "")
        return None if url in ("", self.url) else url

    async def _share(self) -> None:
        by_id = {member.id: member for member in self.members}
        if by_id.keys() != set(self._dealt.values()):
            self._dealt = assignment([*NAMES, FLEET], by_id)
        mine = {name for name, member_id in self._dealt.items() if member_id == self.member_id}
        self._leaving = self._held.keys() - mine
        leaving = [NAMES[name] for name in self._leaving & NAMES.keys()]
        still = {shard_name(shard) for shard in self._busy(leaving)}
        if done := self._leaving - still:
            self._forget(done)
            await self._leases.release(self.member_id, done)
        if missing := mine - self._held.keys():
            taken = await self._leases.acquire(self.member_id, missing)
            await self._take({NAMES[name]: fence for name, fence in taken.items() if name in NAMES})
            self._held |= taken

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self._held.pop(name, None)
        self._leaving -= names
        if shards := [NAMES[name] for name in names if name in NAMES]:
            self._drop(shards)
