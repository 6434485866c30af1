"""Leases as Lease objects of coordination.k8s.io/v1: one a member, and one a name that is leased.

A name is held as long as the Lease of its holder is renewed. Nobody trusts the clock of another:
who was not seen to renew for its time to live, by the clock of who looks, holds nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx2
from lightkube import AsyncClient
from lightkube.resources.coordination_v1 import Lease

from draas.adapters.kubernetes.objects import OURS, LeaseObject
from draas.model.clock import Clock
from draas.reconciliation.leases import Member, Standing
from draas.reconciliation.store import StoreError

AT_ONCE = 8
_NAME, _FENCE = "draas.io/name", "draas.io/fence"
_MEMBER, _URL, _TOLD, _TTL = "draas.io/member", "draas.io/url", "draas.io/told", "draas.io/ttl"
_MISSED = (httpx2.codes.NOT_FOUND, httpx2.codes.CONFLICT)
"""It is gone, or somebody else wrote it since it was read."""


class _Seen(NamedTuple):
    version: str | None
    at: float


class KubernetesLeases:
    """`draas.reconciliation.leases.Leases` in one namespace, which holds those of one fleet."""

    exclusive = False

    def __init__(self, client: AsyncClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def beat(self, me: Member, ttl: float) -> Standing:
        """See the port."""
        async with _calls():
            await self._renew(me, ttl)
            found = await self._list()
            members = self._members(found)
            dead = [each for each in members if not self._is_alive(each)]
            await asyncio.gather(*(self._delete(each) for each in dead))
            alive = tuple(_member(each) for each in members if each not in dead)
            held = {each.notes[_NAME]: _fence(each) for each in _held(found, me.id)}
            return Standing(alive, held)

    async def acquire(self, member_id: str, names: Collection[str]) -> dict[str, int]:
        """See the port."""
        async with _calls():
            found = await self._list()
            alive = {_member(each).id for each in self._members(found) if self._is_alive(each)}
            known = {each.notes[_NAME]: each for each in found if _NAME in each.notes}
            others = alive - {member_id}
            free = [each for each in names if each not in known or known[each].holder not in others]
            fences = await asyncio.gather(
                *(self._take(member_id, name, known.get(name)) for name in free)
            )
            pairs = zip(free, fences, strict=True)
            return {name: fence for name, fence in pairs if fence is not None}

    async def release(self, member_id: str, names: Collection[str]) -> None:
        """See the port."""
        async with _calls():
            held = _held(await self._list(), member_id)
            await self._free(each for each in held if each.notes[_NAME] in names)

    async def leave(self, member_id: str) -> None:
        """See the port."""
        async with _calls():
            found = await self._list()
            await self._free(_held(found, member_id))
            own = [each for each in found if each.notes.get(_MEMBER) == member_id]
            await asyncio.gather(*(self._delete(each) for each in own))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _list(self) -> list[LeaseObject]:
        namespace = self._client.namespace
        found = self._client.list(Lease, namespace=namespace, labels={**OURS})
        return [LeaseObject.of(each) async for each in found]

    def _members(self, found: Iterable[LeaseObject]) -> list[LeaseObject]:
        """Those of members, by id; when each was first seen as it is now is remembered."""
        members = [each for each in found if _MEMBER in each.notes]
        now, before = self._clock.monotonic(), self._seen
        self._seen = {}
        for each in members:
            known = before.get(each.name)
            is_news = known is None or known.version != each.version
            self._seen[each.name] = _Seen(each.version, now) if known is None or is_news else known
        return sorted(members, key=lambda each: each.notes[_MEMBER])

    def _is_alive(self, member: LeaseObject) -> bool:
        age = self._clock.monotonic() - self._seen[member.name].at
        return age <= float(member.notes[_TTL])

    async def _renew(self, me: Member, ttl: float) -> None:
        """Write the member's Lease; again, where somebody took it for dead meanwhile."""
        notes = {_MEMBER: me.id, _URL: me.url, _TOLD: me.told, _TTL: str(ttl)}
        mine = LeaseObject(f"draas-member-{me.id}", me.id, notes, seconds=math.ceil(ttl))
        while not await self._put(replace(mine, version=await self._version(mine.name))):
            pass

    async def _version(self, name: str) -> str | None:
        try:
            found = await self._client.get(Lease, name, namespace=self._client.namespace)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code == httpx2.codes.NOT_FOUND:
                return None
            raise
        return LeaseObject.of(found).version

    async def _take(self, member_id: str, name: str, known: LeaseObject | None) -> int | None:
        """The new fence; `None` if another was quicker."""
        own = known or LeaseObject(f"draas-lease-{name.replace('/', '-')}", "")
        fence = max(_fence(own) + 1, int(self._clock.now().timestamp() * 1000))
        taken = replace(
            own,
            holder=member_id,
            notes={_NAME: name, _FENCE: str(fence)},
            transitions=0 if own.transitions is None else own.transitions + 1,
        )
        return fence if await self._put(taken) else None

    async def _free(self, held: Iterable[LeaseObject]) -> None:
        """Let go; who was robbed meanwhile has nothing to let go of."""
        await asyncio.gather(*(self._put(replace(each, holder="")) for each in held))

    async def _put(self, lease: LeaseObject) -> bool:
        """Write it, unless somebody wrote it since it was read; whether it is written."""
        written = lease.written(self._clock.now())
        client: Any = self._client  # its overloads miss the types of these objects
        write = client.create if lease.version is None else client.replace
        async with self._at_once:
            return await _unless_missed(write(written, namespace=client.namespace))

    async def _delete(self, lease: LeaseObject) -> None:
        gone = self._client.delete(Lease, lease.name, namespace=self._client.namespace)
        await _unless_missed(gone)


async def _unless_missed(call: Awaitable[object]) -> bool:
    try:
        await call
    except httpx2.HTTPStatusError as error:
        if error.response.status_code in _MISSED:
            return False
        raise
    return True


@asynccontextmanager
async def _calls() -> AsyncIterator[None]:
    try:
        yield
    except (httpx2.HTTPError, OSError) as error:
        why = str(error).splitlines() or [type(error).__name__]
        raise StoreError(f"the daemon's leases: {why[0]}") from error


def _member(lease: LeaseObject) -> Member:
    return Member(lease.notes[_MEMBER], lease.notes[_URL], lease.notes[_TOLD])


def _fence(lease: LeaseObject) -> int:
    return int(lease.notes.get(_FENCE, 0))


def _held(found: Iterable[LeaseObject], member_id: str) -> list[LeaseObject]:
    return [each for each in found if _NAME in each.notes and each.holder == member_id]
