"""The hosts that share a store: who is alive, and what becomes of what the others ran."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any

from draas.contract.problems import ProblemError
from draas.control_plane.fleet import Decide, Fleet
from draas.control_plane.host_decisions import found_again, given_up, lost
from draas.control_plane.ownership import owner
from draas.control_plane.records import Cause, Host, stamp
from draas.control_plane.store import Store, StoreError
from draas.model.clock import Clock
from draas.telemetry import messages
from draas.telemetry.logs import emit

TTL_SECONDS = 6.0
"""How long a host counts as alive after its last beat."""
BEAT_SECONDS = 2.0


class Hosts:
    """Keeps this host a member from when it is known where it listens, and knows the others."""

    def __init__(self, fleet: Fleet, store: Store, clock: Clock) -> None:
        self._fleet = fleet
        self._store = store
        self._clock = clock
        self._members: dict[str, Host] = {}
        self._gone: dict[str, Host] = {}
        self._beaten = self._steady_since = float("-inf")
        self._url = ""
        self._listening = asyncio.Event()

    def listens_at(self, url: str) -> None:
        """The others reach this one there."""
        self._url = url.rstrip("/")
        self._listening.set()

    def listed(self) -> list[dict[str, Any]]:
        """All members, with how many instances each has."""
        counts = Counter(owner(record) for record in self._fleet)
        return [
            {"id": each.id, "url": each.url, "alive": each.is_alive, "instances": counts[each.id]}
            for each in self._members.values()
        ]

    def url_of(self, host_id: str) -> str:
        """Where a host's control plane is asked.

        Raises:
            ProblemError: it is not heard of (host-unreachable).
        """
        host = self._members.get(host_id)
        if host is None or host_id in self._gone:
            raise unreachable(host_id, host.url if host else "", "it is not heard of")
        return host.url

    async def beat_forever(self) -> None:
        """Beat until cancelled; while the store is away, nothing is known anew."""
        await self._listening.wait()
        while True:
            with suppress(StoreError):
                await self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """Stay a member; say of what hosts ran that are gone that nobody knows.

        Who was away itself, or the store was, first lets the others beat again.

        Raises:
            StoreError: it could not be stored.
        """
        if self._fleet.host is None:
            return
        found = await self._store.beat(self._fleet.host, self._url, TTL_SECONDS)
        now = self._clock.monotonic()
        if now - self._beaten > TTL_SECONDS:
            self._steady_since = now
        self._beaten = now
        self._members = {each.id: each for each in found}
        is_steady = now - self._steady_since > TTL_SECONDS
        self._learn({each.id: each for each in found if is_steady and not each.is_alive})
        await self._judge()

    def _learn(self, gone: dict[str, Host]) -> None:
        for each in self._members.values():
            if (each.id in gone) != (each.id in self._gone):
                told = messages.HOST_GONE if each.id in gone else messages.HOST_BACK
                emit(told, host_id=each.id, url=each.url)
        self._gone = gone

    async def _judge(self) -> None:
        """Every member does this, and whoever is first has done it."""
        cause = Cause(stamp(self._clock.now()))
        changes = []
        for record in self._fleet:
            decide: Decide | None = None
            if (has_it := owner(record)) in self._gone:
                decide = partial(lost, host=self._gone[has_it], cause=cause)
            elif has_it == self._fleet.host:
                decide = partial(found_again, cause=cause)
            if decide is not None and decide(record).changes:
                changes.append(self._fleet.change(record.instance.id, decide))
        await asyncio.gather(*changes)

    async def give_up(self, host_id: str, cause: Cause) -> None:
        """Take it that a host that is gone never comes back: what it ran may run elsewhere.

        Raises:
            ProblemError: there is no such host (host-not-found), or it is alive (host-alive).
            StoreError: it could not be stored; what was done is done.
        """
        host = self._members.get(host_id)
        if host is None:
            raise ProblemError("host-not-found", f"no host {host_id[:128]!r} is a member")
        if host_id not in self._gone:
            raise ProblemError(
                "host-alive",
                f"host {host_id} was heard of lately at {host.url}; end its control plane, and "
                "try again when it is not heard of any more",
            )
        decide = partial(given_up, host_id=host_id, cause=cause)
        theirs = [each.instance.id for each in self._fleet if owner(each) == host_id]
        await asyncio.gather(*(self._fleet.change(each, decide) for each in theirs))
        await self._store.forget_host(host_id)
        self._members.pop(host_id, None)


def unreachable(host_id: str, url: str, why: str) -> ProblemError:
    """The problem of what only a host can do that does not answer."""
    return ProblemError(
        "host-unreachable",
        f"host {host_id} runs this instance, and its control plane at {url or '?'} cannot be "
        f"asked: {why}; try again when it is back",
        host=host_id,
        url=url,
    )
