"""Leaders and followers as values: `Handover` without servers, with handles to break it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED
from draas.contract.slots import Followed
from draas.control_plane.handover import HandoverError
from draas.control_plane.ports import Running


@dataclass
class SimulatedServer:
    """One server: `sequence` is the last change that it has, `fails` the calls that it refuses."""

    role: str = LEADER
    sequence: int = 0
    leader: str | None = None
    rows: dict[str, list[Any]] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    dead: bool = False


class SimulatedHandover:
    """`Handover` over `servers` by the name of their slot."""

    def __init__(self, **servers: SimulatedServer) -> None:
        self.servers = servers

    async def status(self, running: Running) -> Followed:
        """See `Handover.status`."""
        server = self._server(running, "status")
        return Followed(role=server.role, sequence=server.sequence, leader=server.leader)

    async def seal(self, leader: Running, successor: Running | None) -> int:
        """See `Handover.seal`."""
        server = self._server(leader, "seal")
        if server.role == FOLLOWER:
            raise HandoverError("it follows; only a leader can be sealed")
        server.role = SEALED
        return server.sequence

    async def unseal(self, leader: Running) -> None:
        """See `Handover.unseal`."""
        server = self._server(leader, "unseal")
        server.role = LEADER if server.role == SEALED else server.role

    async def promote(self, follower: Running, sequence: int | None) -> None:
        """See `Handover.promote`."""
        server = self._server(follower, "promote")
        if server.role == SEALED:
            raise HandoverError("it is sealed, and does not know what came since")
        server.role, server.leader = LEADER, None
        server.sequence = server.sequence if sequence is None else sequence

    async def follow(self, sealed: Running, leader: Running) -> None:
        """See `Handover.follow`."""
        server = self._server(sealed, "follow")
        if server.role == LEADER:
            raise HandoverError("it leads; seal it first")
        server.role, server.leader = FOLLOWER, leader.slot

    async def rows(self, running: Running, query: str) -> list[Any]:
        """See `Handover.rows`."""
        return self._server(running, "rows").rows[query]

    def _server(self, running: Running, call: str) -> SimulatedServer:
        server = self.servers[running.slot]
        if server.dead or call in server.fails:
            raise HandoverError(f"{call}: no answer")
        return server
