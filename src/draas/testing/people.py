"""The people of a simulated world: they change, stop, delete and tamper, and try again if busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from draas.client.port import ControlPlaneError, RefusedError
from draas.model.operation import Operation
from draas.testing.configurations import configuration
from draas.testing.faults import CONFIGURATIONS, Fault
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.simulated_traffic import Manners

RETRY_SECONDS = 0.5
DYING_SECONDS = (0.5, 4.0, 20.0)
FIRST_PORT = 9000
MANNERS = {
    "erring": Manners(errors=0.5),
    "slow": Manners(latency=100.0),
    "fragile": Manners(dies_at=30),
}


class People:
    """What people do to instances; `kinds` says of each digest what it is like.

    Every second configuration that they write changes a setting of the server itself.
    """

    def __init__(self, plane: SimulatedControlPlane, tell: Callable[[str], None]) -> None:
        self._plane = plane
        self._tell = tell
        self._made = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.kinds: dict[str, str] = {}
        self.shot: set[str] = set()
        """Sound ones that were made to crash, or taken back by people: they may be held for bad."""

    def document(self, number: int = 0) -> dict[str, Any]:
        """A configuration that nobody had before, of a kind that the number chooses."""
        self._made += 1
        port = FIRST_PORT + self._made * (number % 2)
        made = configuration(port, f"MATCH (n) RETURN n.p{self._made}")
        kind = CONFIGURATIONS[number % len(CONFIGURATIONS)]
        digest = self._plane.digests.whole(made)
        self.kinds[digest] = kind
        match kind:
            case "failing":
                self._plane.failing[digest] = "cannot start"
            case "sick":
                self._plane.sick.add(digest)
            case "obscure":
                self._plane.obscure.add(digest)
            case "dying":
                self._plane.dying[digest] = DYING_SECONDS[number % len(DYING_SECONDS)]
            case "different":
                self._plane.other_rows.add(digest)
            case _ if kind in MANNERS:
                self._plane.manners[digest] = MANNERS[kind]
        return made

    def aborted(self, operation: Operation) -> None:
        """A person did not want what an operation brings, whatever it is like."""
        self.shot.add(operation.target_digest)

    def doubt(self, digest: str, instance_id: str) -> bool:
        """Whether a sound one may be held for bad: shot, or beside one that gave other rows."""
        server = self._plane.servers.get(instance_id)
        history = server.history if server else []
        return digest in self.shot or any(self.kind(each) == "different" for each in history)

    def kind(self, document: dict[str, Any]) -> str:
        """What a configuration of this world is like."""
        return self.kinds[self._plane.digests.whole(document)]

    def act(self, fault: Fault, name: str) -> None:
        """Do it now, or as soon as the instance is free; nothing while nobody answers."""
        task = asyncio.create_task(self._insist(fault, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def rest(self) -> None:
        """Wait until everybody has done what they wanted."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _insist(self, fault: Fault, name: str) -> None:
        while True:
            try:
                return await self._do(fault, name)
            except RefusedError:
                await asyncio.sleep(RETRY_SECONDS)
            except ControlPlaneError:
                return None

    async def _do(self, fault: Fault, name: str) -> None:
        plane, number = self._plane, int(fault.amount)
        plane.reach()
        server = plane.servers.get(name)
        if server is None:
            return
        match fault.kind:
            case "patch":
                document = self.document(number)
                self._tell(f"{name} is to run {_short(plane, document)}, {self.kind(document)}")
                await plane.configure(name, document)
            case "go-back":
                await plane.configure(name, server.history[number % len(server.history)])
            case "stop" | "start":
                await plane.want(name, running=fault.kind == "start")
            case "tamper" if server.running is not None:
                await plane.tamper(name, {**server.running, "queries": []})
            case "delete":
                await plane.delete(name)
                await asyncio.sleep(fault.seconds)
                await plane.create(name, self.document())
                await plane.want(name, running=True)


def _short(plane: SimulatedControlPlane, document: dict[str, Any]) -> str:
    return plane.digests.whole(document)[7:13]
