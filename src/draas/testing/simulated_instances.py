"""The instances of a simulated control plane, and what people and the world do to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from draas.client.port import RefusedError, UnreachableError
from draas.model.clock import Clock
from draas.model.configuration import canonical, observable_digest
from draas.model.instance import InstanceState
from draas.testing.simulated_servers import Digests, Fallen, SimulatedServer, state_of

LOST = "it did not run when the control plane came back"


@dataclass
class SimulatedInstances:
    """Servers that exist as values, and the change log of what happens to them.

    `reachable` false makes every call fail. By the digest of what is started: one in `failing`
    never starts, one in `sick` starts and is Unhealthy, of one in `obscure` nobody can tell,
    one in `dying` ends after so many seconds. An instance in `refusals` cannot be started or
    stopped; a start takes `start_seconds`, a look at what was started `look_seconds`; reads are
    `lag` seconds old. `begun` has every start as it begins, `log` every start and stop in order.
    """

    clock: Clock
    reachable: bool = True
    failing: dict[str, str] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    obscure: set[str] = field(default_factory=set)
    dying: dict[str, float] = field(default_factory=dict)
    refusals: dict[str, RefusedError] = field(default_factory=dict)
    start_seconds: float = 0.2
    look_seconds: float = 0.0
    lag: float = 0.0
    servers: dict[str, SimulatedServer] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    digests: Digests = field(default_factory=Digests)
    _fences: dict[str, int] = field(default_factory=dict)
    _changes: list[tuple[str, str, float]] = field(default_factory=list)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    # What a user or the world does

    async def create(
        self, instance_id: str, document: Mapping[str, Any], labels: Mapping[str, str] | None = None
    ) -> None:
        """A new instance that was never started."""
        self.servers[instance_id] = SimulatedServer(
            [canonical(document)],
            fence=self._fences.get(instance_id, 0),
            labels=dict(labels or {}),
        )
        self._tell(instance_id, "Created")

    async def configure(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """A new generation of the desired configuration."""
        self.servers[instance_id].history.append(canonical(document))
        self._tell(instance_id, "ConfigurationChanged")

    async def want(self, instance_id: str, *, running: bool) -> None:
        """The user's own start or stop."""
        server = self.servers[instance_id]
        self._free(instance_id, server)
        server.wanted = running
        failure = self.failing.get(self.digests.whole(server.history[-1]))
        if running and server.running is not None:
            pass
        elif running and failure:
            server.status, server.reason = "Error", failure
        elif running:
            self._run(instance_id, server, server.history[-1])
        else:
            self._end(server)
        self._tell(instance_id, "StatusChanged")

    async def look(self, instance_id: str) -> None:
        """The control plane looks at the server again, and tells."""
        self.examine(instance_id)

    def examine(self, instance_id: str) -> None:
        """As `look`."""
        server = self.servers.get(instance_id)
        if server is None:
            return
        if server.running is not None and server.status == "Running":
            self._judge(server, server.running)
        self._tell(instance_id, "HealthChanged")

    def sicken(self, instance_id: str) -> None:
        """A running server begins to answer that it is not healthy, until it is looked at again."""
        server = self.servers[instance_id]
        if server.status == "Running":
            server.health, server.reason = "Unhealthy", "/health answers 503"
            self._tell(instance_id, "HealthChanged")

    async def crash(self, instance_id: str, reason: str = "exit code 137") -> None:
        """The server's process ends by itself."""
        self.fall(instance_id, reason)

    def fall(self, instance_id: str, reason: str) -> None:
        """As `crash`."""
        server = self.servers[instance_id]
        ran, server.running = server.running, None
        if ran is None:
            return
        server.fallen = Fallen(reason, self._generation(server, ran))
        if self.reachable and server.operation is None and self._seen_fallen(server):
            self._tell(instance_id, "StatusChanged")

    def _seen_fallen(self, server: SimulatedServer) -> bool:
        """Whether what ran is found to have ended by itself: once no call holds it."""
        fallen, server.fallen = server.fallen, None
        if fallen is None or server.running is not None or server.status != "Running":
            return False
        server.doubt(self.clock.monotonic(), fallen.generation)
        server.status, server.health = "Error", "Unhealthy"
        server.reason, server.observed = fallen.reason, None
        return True

    async def tamper(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """Somebody changes the running server through its own API."""
        self.servers[instance_id].observed = observable_digest(document)
        self._tell(instance_id, "ObservedChanged")

    async def delete(self, instance_id: str) -> None:
        """The instance goes."""
        self._free(instance_id, self.servers[instance_id])
        self._fences[instance_id] = self.servers.pop(instance_id).fence
        self._tell(instance_id, "Deleted")

    def recover(self) -> None:
        """Start again after a crash: settle what was under way, adopt what runs."""
        self.reachable, self._waiting = True, []
        for instance_id, server in self.servers.items():
            stopping, server.operation = server.status == "Stopping", None
            server.fallen = None
            if stopping:
                server.running = None
            if server.running is not None:
                server.status = "Running"
            elif stopping or not server.wanted:
                self._end(server)
            elif server.status in ("Starting", "Running"):
                self._end(server)
                server.status, server.reason = "Error", LOST
            self._tell(instance_id, "StatusChanged")

    # Inside

    def _run(self, instance_id: str, server: SimulatedServer, document: dict[str, Any]) -> None:
        server.running, server.status = document, "Running"
        server.health, server.observed, server.reason = "Unknown", None, None
        server.fallen = None
        server.started_at = self.clock.monotonic()
        if self.look_seconds:
            self._later(self.look_seconds, self._look, instance_id, document)
        else:
            self._look(instance_id, document)
        seconds = self.dying.get(self.digests.whole(document))
        if seconds is not None:
            self._later(seconds, self._die, instance_id, document)

    def _later(self, seconds: float, what: Any, *arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(seconds, what, *arguments, context=Context())

    def _look(self, instance_id: str, document: dict[str, Any]) -> None:
        """The monitor's first look at what was started."""
        server = self.servers.get(instance_id)
        if server is None or server.running is not document:
            return
        self._judge(server, document)
        if self.look_seconds:
            self._tell(instance_id, "ObservedChanged")

    def _judge(self, server: SimulatedServer, document: dict[str, Any]) -> None:
        wanted = self.digests.whole(document)
        server.observed = server.observed or self.digests.observable(document)
        if wanted in self.sick:
            server.health, server.reason = "Unhealthy", "/health answers 500"
        elif wanted in self.obscure:
            server.health, server.reason = "Unknown", "/health answers in words of its own"
        else:
            server.health, server.reason = "Healthy", None
            server.praise(self._generation(server, document))

    def _die(self, instance_id: str, document: dict[str, Any]) -> None:
        server = self.servers.get(instance_id)
        if server is not None and server.running is document:
            self.fall(instance_id, "exit code 1")

    def _end(self, server: SimulatedServer) -> None:
        server.running, server.observed = None, None
        server.status, server.health, server.reason = "Stopped", "Unknown", None

    def reach(self) -> None:
        """Raise UnreachableError while nobody answers."""
        if not self.reachable:
            raise UnreachableError("the control plane is down")

    def _free(self, instance_id: str, server: SimulatedServer) -> None:
        if server.operation is not None:
            busy = f"a {server.operation.kind} of {instance_id!r} is under way"
            raise RefusedError(409, "instance-busy", busy)

    def _state(self, instance_id: str) -> InstanceState:
        server = self.servers[instance_id]
        generation = self._generation(server, server.running)
        return state_of(instance_id, server, self.digests, generation)

    def _generation(
        self, server: SimulatedServer, document: Mapping[str, Any] | None
    ) -> int | None:
        if document is None:
            return None
        wanted = self.digests.whole(document)
        same = [n for n, d in enumerate(server.history, 1) if self.digests.whole(d) == wanted]
        return same[-1] if same else None

    def _tell(self, instance_id: str, kind: str) -> None:
        now = self.clock.monotonic()
        self._changes.append((instance_id, kind, now))
        if instance_id in self.servers:
            self.servers[instance_id].past.append((now, self._state(instance_id)))
        waiting, self._waiting = self._waiting, []
        for news in waiting:
            if not news.done():
                news.set_result(None)
