"""A control plane with its servers in memory: quick, breakable, counting what is done to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from draas.client.port import Capabilities, Desired, FleetStates, RefusedError, UnreachableError
from draas.contract.feed import MOST, Change, Changes, cursor, parse_cursor
from draas.decide.hot_apply import settings_changed
from draas.model.clock import Clock, timestamp
from draas.model.configuration import canonical, observable_digest
from draas.model.instance import InstanceState, OperationInFlight
from draas.testing.simulated_servers import Digests, SimulatedServer, state_of

EPOCH = "simulated"
LOST = "it did not run when the control plane came back"


@dataclass
class SimulatedControlPlane:
    """`draas.client.port.ControlPlane` without a network.

    `reachable` false makes every call fail. By the digest of what is started: one in `failing`
    never starts, one in `sick` starts and is Unhealthy, of one in `obscure` nobody can tell,
    one in `dying` ends after so many seconds. An instance in `refusals` cannot be started or
    stopped; a start takes `start_seconds`, a look at what was started `look_seconds`; reads are
    `lag` seconds old. `begun` has every start as it begins, `log` every start and stop in order.
    """

    clock: Clock
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(native=True, base="/api/servers")
    )
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
    _changes: list[tuple[str, str, float]] = field(default_factory=list)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    # What a user or the world does

    async def create(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """A new instance that was never started."""
        self.servers[instance_id] = SimulatedServer([canonical(document)])
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
        server = self.servers[instance_id]
        if server.running is not None:
            self._judge(server, server.running)
        self._tell(instance_id, "HealthChanged")

    async def crash(self, instance_id: str, reason: str = "exit code 137") -> None:
        """The server's process ends by itself."""
        self.fall(instance_id, reason)

    def fall(self, instance_id: str, reason: str) -> None:
        """As `crash`."""
        server = self.servers[instance_id]
        ran, server.running = server.running, None
        if not self.reachable or server.operation is not None:
            return  # Nobody is there to see it; `recover` or the call under way will.
        server.doubt(self.clock.monotonic(), self._generation(server, ran))
        server.status, server.health = "Error", "Unhealthy"
        server.reason, server.observed = reason, None
        self._tell(instance_id, "StatusChanged")

    async def tamper(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """Somebody changes the running server through its own API."""
        self.servers[instance_id].observed = observable_digest(document)
        self._tell(instance_id, "ObservedChanged")

    async def delete(self, instance_id: str) -> None:
        """The instance goes."""
        self._free(instance_id, self.servers[instance_id])
        del self.servers[instance_id]
        self._tell(instance_id, "Deleted")

    def recover(self) -> None:
        """Start again after a crash: settle what was under way, adopt what runs."""
        self.reachable, self._waiting = True, []
        for instance_id, server in self.servers.items():
            stopping, server.operation = server.status == "Stopping", None
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

    # What the daemon asks

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """All states."""
        self.reach()
        now = self.clock.monotonic()
        known = len(self._changes)
        while self.lag and known and self._changes[known - 1][2] > now - self.lag:
            known -= 1
        here = cursor(EPOCH, known)
        if etag == here:
            return None
        seen = [state for key in self.servers if (state := self._seen(key)) is not None]
        return FleetStates(tuple(seen), here, here)

    async def changes(self, after: str, wait: float) -> Changes:
        """What happened since, or after a wait nothing."""
        self.reach()
        _, sequence = parse_cursor(after)
        if sequence >= len(self._changes):
            news = asyncio.get_running_loop().create_future()
            self._waiting.append(news)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await news
        self.reach()
        fresh = [
            Change(
                sequence=number,
                kind=kind,
                instance_id=key,
                at=timestamp(self.clock.now()),
                state=self._state(key) if key in self.servers else None,
            )
            for number, (key, kind, _) in enumerate(
                self._changes[sequence : sequence + MOST], sequence + 1
            )
        ]
        return Changes(EPOCH, cursor(EPOCH, sequence + len(fresh)), False, fresh)

    async def state(self, instance_id: str) -> InstanceState | None:
        """One state."""
        self.reach()
        return self._seen(instance_id)

    async def desired(self, instance_id: str) -> Desired:
        """The newest configuration."""
        server = self._server(instance_id)
        seen = self._seen(instance_id)
        known = len(server.history)
        return self._desired(server, min(seen.generation, known) if seen else known)

    async def last_good(self, instance_id: str) -> Desired | None:
        """The newest that ran well."""
        server = self._server(instance_id)
        return None if server.good is None else self._desired(server, server.good)

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """One of the history."""
        history = self._server(instance_id).history
        return history[generation - 1] if generation <= len(history) else None

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """Not told in detail here."""
        self.reach()
        return None

    async def start(
        self, instance_id: str, document: Mapping[str, Any], operation_id: str, within: float
    ) -> None:
        """Run the document; fails for a digest in `failing`."""
        server = self._server(instance_id)
        self._refuse(instance_id, server)
        wanted = self.digests.whole(document)
        if server.running is not None:
            if self.digests.whole(server.running) == wanted:
                return
            raise RefusedError(409, "instance-running", "it runs another configuration")
        self.begun.append(instance_id)
        async with self._holding(instance_id, server, "start", operation_id):
            await asyncio.sleep(self.start_seconds)
            self.reach()
            self.log.append(("start", instance_id))
            server.starts += 1
            failure = self.failing.get(wanted)
            if failure:
                server.status, server.reason = "Error", failure
                raise RefusedError(500, "start-failed", failure)
            self._run(instance_id, server, dict(document))

    async def stop(self, instance_id: str, operation_id: str, within: float) -> bool:
        """End what runs."""
        server = self._server(instance_id)
        self._refuse(instance_id, server)
        ran = server.running is not None
        async with self._holding(instance_id, server, "stop", operation_id):
            self.log.append(("stop", instance_id))
            self._end(server)
        return ran

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], operation_id: str, within: float
    ) -> None:
        """Change what runs in place; not its own settings, and to nothing in `failing`."""
        server = self._server(instance_id)
        self._refuse(instance_id, server)
        if server.running is None:
            raise RefusedError(409, "instance-not-running", "nothing runs")
        if settings_changed(server.running, document):
            raise RefusedError(409, "restart-needed", "a setting of the server changed")
        async with self._holding(instance_id, server, "apply", operation_id):
            self.log.append(("apply", instance_id))
            if failure := self.failing.get(self.digests.whole(document)):
                raise RefusedError(500, "hot-apply-failed", failure)
            self._run(instance_id, server, dict(document))

    # Inside

    @contextlib.asynccontextmanager
    async def _holding(
        self, instance_id: str, server: SimulatedServer, kind: str, operation_id: str
    ) -> AsyncIterator[None]:
        at = timestamp(self.clock.now())
        server.operation = OperationInFlight(kind, operation_id, "", at)
        if kind == "start":
            server.status = "Starting"
            self._tell(instance_id, "StatusChanged")
        try:
            yield
        finally:
            server.operation = None
            if server.status == "Starting":
                server.status = "Error"
            self._tell(instance_id, "StatusChanged")

    def _run(self, instance_id: str, server: SimulatedServer, document: dict[str, Any]) -> None:
        server.running, server.status = document, "Running"
        server.health, server.observed, server.reason = "Unknown", None, None
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

    def _refuse(self, instance_id: str, server: SimulatedServer) -> None:
        if instance_id in self.refusals:
            raise self.refusals[instance_id]
        self._free(instance_id, server)

    def _free(self, instance_id: str, server: SimulatedServer) -> None:
        if server.operation is not None:
            busy = f"a {server.operation.kind} of {instance_id!r} is under way"
            raise RefusedError(409, "instance-busy", busy)

    def _server(self, instance_id: str) -> SimulatedServer:
        self.reach()
        server = self.servers.get(instance_id)
        if server is None:
            raise RefusedError(404, "instance-not-found", f"there is no instance {instance_id!r}")
        return server

    def _state(self, instance_id: str) -> InstanceState:
        server = self.servers[instance_id]
        generation = self._generation(server, server.running)
        return state_of(instance_id, server, self.digests, generation)

    def _seen(self, instance_id: str) -> InstanceState | None:
        """The state as it is read, which may be an old one."""
        server = self.servers.get(instance_id)
        if server is None:
            return None
        if not self.lag:
            return self._state(instance_id)
        limit = self.clock.monotonic() - self.lag
        seen = [state for at, state in server.past if at <= limit]
        return seen[-1] if seen else server.past[0][1]

    def _generation(
        self, server: SimulatedServer, document: Mapping[str, Any] | None
    ) -> int | None:
        if document is None:
            return None
        wanted = self.digests.whole(document)
        same = [n for n, d in enumerate(server.history, 1) if self.digests.whole(d) == wanted]
        return same[-1] if same else None

    def _desired(self, server: SimulatedServer, generation: int) -> Desired:
        document = server.history[generation - 1]
        return Desired(dict(document), self.digests.whole(document), generation)

    def _tell(self, instance_id: str, kind: str) -> None:
        now = self.clock.monotonic()
        self._changes.append((instance_id, kind, now))
        if instance_id in self.servers:
            self.servers[instance_id].past.append((now, self._state(instance_id)))
        waiting, self._waiting = self._waiting, []
        for news in waiting:
            if not news.done():
                news.set_result(None)
