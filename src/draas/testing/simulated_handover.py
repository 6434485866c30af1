"""Leaders and followers as values: `Handover` without servers, with handles to break it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED
from draas.contract.slots import Followed
from draas.control_plane.handover import HandoverError
from draas.control_plane.ports import Running


@dataclass
class SimulatedHost:
    """One server of an instance: `sequence` is the last change that it has.

    `peer` is the slot that it follows or, sealed, that of its successor; `fails` are the calls that
    it refuses, and `error` is why it cannot follow. One that is `dead`, or `hangs`, answers none.
    """

    role: str = LEADER
    sequence: int = 0
    peer: str | None = None
    rows: dict[str, list[Any]] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    error: str | None = None
    dead: bool = False
    hangs: bool = False

    @property
    def leads(self) -> bool:
        """Whether it takes changes in its own order."""
        return self.role == LEADER and not self.dead

    @property
    def sealed(self) -> bool:
        """Whether it takes no changes, though it led."""
        return self.role == SEALED and not self.dead

    def lead(self) -> None:
        """Take changes from now on."""
        self.role, self.peer = LEADER, None


Hosts = Mapping[str, SimulatedHost]
"""The servers of an instance, by the name of their slot."""


def leads(hosts: Hosts, slot: str | None) -> bool:
    """Whether the host of a slot leads."""
    host = _alive(hosts, slot)
    return host is not None and host.leads


def _alive(hosts: Hosts, slot: str | None) -> SimulatedHost | None:
    host = hosts.get(slot or "")
    return host if host is not None and not host.dead else None


def _reached(hosts: Hosts, follower: SimulatedHost) -> int:
    """The last change that a follower has heard of, if it can still be told it."""
    leader = _alive(hosts, follower.peer)
    return max(follower.sequence, leader.sequence) if leader else follower.sequence


async def _at_once(_call: str) -> None:
    """No time goes by."""


class SimulatedHandover:
    """`Handover` over the hosts that `of` finds for an instance.

    `before` is awaited before each call is carried out, with its name.
    """

    def __init__(self, of: Callable[[str], Hosts]) -> None:
        self._of = of
        self.before: Callable[[str], Awaitable[None]] = _at_once

    async def status(self, running: Running) -> Followed:
        """See `Handover.status`."""
        host, hosts = await self._asked(running, "status")
        lag: int | None = 0
        if host.role == FOLLOWER:
            known = _alive(hosts, host.peer) is not None
            lag = _reached(hosts, host) - host.sequence if known else None
        return Followed(role=host.role, sequence=host.sequence, leader=host.peer, lag=lag)

    async def seal(self, leader: Running, successor: Running | None) -> int:
        """See `Handover.seal`."""
        host, _ = await self._asked(leader, "seal")
        if host.role == FOLLOWER:
            raise HandoverError("it follows; only a leader can be sealed")
        host.role, host.peer = SEALED, successor.slot if successor else None
        return host.sequence

    async def unseal(self, leader: Running) -> None:
        """See `Handover.unseal`."""
        host, hosts = await self._asked(leader, "unseal")
        if host.role == FOLLOWER:
            raise HandoverError("it follows; promote it")
        if host.role == SEALED and leads(hosts, host.peer):
            raise HandoverError("its successor leads")
        host.lead()

    async def settle(self, follower: Running, sequence: int) -> None:
        """See `Handover.settle`."""
        host, hosts = await self._asked(follower, "settle")
        if host.role != FOLLOWER or sequence > _reached(hosts, host):
            raise HandoverError(f"it does not follow to change {sequence}")
        host.sequence = _reached(hosts, host)

    async def promote(self, follower: Running, sequence: int | None) -> None:
        """See `Handover.promote`."""
        host, hosts = await self._asked(follower, "promote")
        if host.role == SEALED:
            raise HandoverError("it is sealed, and does not know what came since")
        if host.role == LEADER:
            return
        reached = _reached(hosts, host)
        if sequence is None and leads(hosts, host.peer):
            raise HandoverError("its leader is alive; seal that one")
        if sequence is not None and sequence != reached:
            raise HandoverError(f"at change {reached}, not at {sequence}")
        host.sequence = reached
        host.lead()

    async def follow(self, sealed: Running, leader: Running) -> None:
        """See `Handover.follow`."""
        host, _ = await self._asked(sealed, "follow")
        if host.role == LEADER:
            raise HandoverError("it leads; seal it first")
        host.role, host.peer = FOLLOWER, leader.slot

    async def rows(self, running: Running, query: str) -> list[Any]:
        """See `Handover.rows`."""
        host, _ = await self._asked(running, "rows")
        return host.rows.get(query, [])

    async def _asked(self, running: Running, call: str) -> tuple[SimulatedHost, Hosts]:
        await self.before(call)
        hosts = self._of(running.instance_id)
        host = hosts.get(running.slot)
        if host is None or host.dead or host.hangs or call in host.fails:
            raise HandoverError(f"{call}: no answer")
        return host, hosts
