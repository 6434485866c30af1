"""A control plane with its servers in memory: quick, breakable, counting what is done to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.client.port import Capabilities, Desired, FleetStates, RefusedError, UnreachableError
from draas.contract.feed import MOST, Change, Changes, cursor, parse_cursor
from draas.decide.hot_apply import settings_changed
from draas.model.clock import Clock
from draas.model.configuration import canonical, digest, observable_digest
from draas.model.instance import InstanceState

EPOCH = "simulated"
PROBATION_SECONDS = 60.0
"""As in the real one: what ends by itself so soon did not prove its configuration."""


@dataclass
class _Server:
    """One instance: the history of its desired configurations and what runs."""

    history: list[dict[str, Any]]
    wanted: bool = False
    status: str = "Created"
    health: str = "Unknown"
    running: dict[str, Any] | None = None
    observed: str | None = None
    good: int | None = None
    earlier_good: int | None = None
    started_at: float = 0.0
    reason: str | None = None
    starts: int = 0


@dataclass
class SimulatedControlPlane:
    """`draas.client.port.ControlPlane` without a network.

    `reachable` false makes every call fail; a digest in `failing` never starts, one in `sick`
    starts and is Unhealthy, of one in `obscure` nobody can tell; an instance in `refusals` cannot
    be started or stopped; `start_seconds` is how long a start takes. `begun` has every start as it
    begins, `log` every start and stop in order.
    """

    clock: Clock
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(native=True, base="/api/servers")
    )
    reachable: bool = True
    failing: dict[str, str] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    obscure: set[str] = field(default_factory=set)
    refusals: dict[str, RefusedError] = field(default_factory=dict)
    start_seconds: float = 0.2
    servers: dict[str, _Server] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    overlaps: int = 0
    _changes: list[tuple[str, str]] = field(default_factory=list)
    _digests: dict[int, tuple[Mapping[str, Any], str, str]] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    # What a user or the world does

    async def create(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """A new instance that was never started."""
        self.servers[instance_id] = _Server([canonical(document)])
        await self._tell(instance_id, "Created")

    async def configure(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """A new generation of the desired configuration."""
        self.servers[instance_id].history.append(canonical(document))
        await self._tell(instance_id, "ConfigurationChanged")

    async def want(self, instance_id: str, *, running: bool) -> None:
        """The user's own start or stop."""
        server = self.servers[instance_id]
        server.wanted = running
        failure = self.failing.get(self._digest(server.history[-1]))
        if running and failure:
            server.running, server.status, server.reason = None, "Error", failure
        elif running:
            self._run(server, server.history[-1])
        else:
            server.running, server.status, server.health = None, "Stopped", "Unknown"
        await self._tell(instance_id, "StatusChanged")

    async def look(self, instance_id: str) -> None:
        """The control plane looks at the server again, and tells."""
        server = self.servers[instance_id]
        if server.running is not None:
            self._judge(server, server.running)
        await self._tell(instance_id, "HealthChanged")

    async def crash(self, instance_id: str, reason: str = "exit code 137") -> None:
        """The server's process ends by itself."""
        server = self.servers[instance_id]
        soon = self.clock.monotonic() - server.started_at < PROBATION_SECONDS
        new = server.running and self._generation(server, server.running) == server.good
        if soon and new and server.earlier_good is not None:
            server.good, server.earlier_good = server.earlier_good, None
        server.running, server.status, server.health = None, "Error", "Unhealthy"
        server.reason, server.observed = reason, None
        await self._tell(instance_id, "StatusChanged")

    async def tamper(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """Somebody changes the running server through its own API."""
        self.servers[instance_id].observed = observable_digest(document)
        await self._tell(instance_id, "ObservedChanged")

    async def delete(self, instance_id: str) -> None:
        """The instance goes."""
        del self.servers[instance_id]
        await self._tell(instance_id, "Deleted")

    # What the daemon asks

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """All states."""
        self._reach()
        here = cursor(EPOCH, len(self._changes))
        if etag == here:
            return None
        return FleetStates(tuple(self._state(key) for key in self.servers), here, here)

    async def changes(self, after: str, wait: float) -> Changes:
        """What happened since, or after a wait nothing."""
        self._reach()
        _, sequence = parse_cursor(after)
        if sequence >= len(self._changes):
            try:
                async with asyncio.timeout(wait), self._news:
                    await self._news.wait()
            except TimeoutError:
                pass
        self._reach()
        fresh = [
            Change(
                sequence=number,
                kind=kind,
                instance_id=key,
                at=self.clock.now().isoformat(),
                state=self._state(key) if key in self.servers else None,
            )
            for number, (key, kind) in enumerate(
                self._changes[sequence : sequence + MOST], sequence + 1
            )
        ]
        return Changes(EPOCH, cursor(EPOCH, sequence + len(fresh)), False, fresh)

    async def state(self, instance_id: str) -> InstanceState | None:
        """One state."""
        self._reach()
        return self._state(instance_id) if instance_id in self.servers else None

    async def desired(self, instance_id: str) -> Desired:
        """The newest configuration."""
        server = self._server(instance_id)
        return self._desired(server, len(server.history))

    async def last_good(self, instance_id: str) -> Desired | None:
        """The newest that ran well."""
        server = self._server(instance_id)
        return None if server.good is None else self._desired(server, server.good)

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """One of the history."""
        return self._server(instance_id).history[generation - 1]

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """Not told in detail here."""
        self._reach()
        return None

    async def start(
        self, instance_id: str, document: Mapping[str, Any], operation_id: str, within: float
    ) -> None:
        """Run the document; fails for a digest in `failing`."""
        server = self._server(instance_id)
        async with self._working(instance_id):
            self._refuse(instance_id)
            if server.running is not None:
                if self._digest(server.running) == digest(document):
                    return
                raise RefusedError(409, "instance-running", "it runs another configuration")
            self.begun.append(instance_id)
            await asyncio.sleep(self.start_seconds)
            self._reach()
            if instance_id not in self.servers:
                raise RefusedError(404, "instance-not-found", f"{instance_id!r} was deleted")
            self.log.append(("start", instance_id))
            server.starts += 1
            failure = self.failing.get(digest(document))
            if failure:
                server.status, server.reason = "Error", failure
                raise RefusedError(500, "start-failed", failure)
            self._run(server, dict(document))
        await self._tell(instance_id, "StatusChanged")

    async def stop(self, instance_id: str, operation_id: str, within: float) -> bool:
        """End what runs."""
        server = self._server(instance_id)
        async with self._working(instance_id):
            self._refuse(instance_id)
            self.log.append(("stop", instance_id))
            ran = server.running is not None
            server.running, server.observed = None, None
            server.status, server.health = "Stopped", "Unknown"
        await self._tell(instance_id, "StatusChanged")
        return ran

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], operation_id: str, within: float
    ) -> None:
        """Change what runs in place; not its own settings, and to nothing in `failing`."""
        server = self._server(instance_id)
        async with self._working(instance_id):
            self._refuse(instance_id)
            if server.running is None:
                raise RefusedError(409, "instance-not-running", "nothing runs")
            if settings_changed(server.running, document):
                raise RefusedError(409, "restart-needed", "a setting of the server changed")
            self.log.append(("apply", instance_id))
            if failure := self.failing.get(digest(document)):
                raise RefusedError(500, "hot-apply-failed", failure)
            self._run(server, dict(document))
        await self._tell(instance_id, "ConfigurationApplied")

    # Inside

    def _working(self, instance_id: str) -> _Working:
        return _Working(self, instance_id)

    def _run(self, server: _Server, document: dict[str, Any]) -> None:
        server.running, server.status = document, "Running"
        server.observed, server.started_at = self._observable(document), self.clock.monotonic()
        self._judge(server, document)

    def _judge(self, server: _Server, document: dict[str, Any]) -> None:
        server.reason = None
        if self._digest(document) in self.sick:
            server.health, server.reason = "Unhealthy", "/health answers 500"
            return
        if self._digest(document) in self.obscure:
            server.health, server.reason = "Unknown", "/health answers in words of its own"
            return
        server.health = "Healthy"
        generation = self._generation(server, document)
        if generation is not None and (server.good is None or generation > server.good):
            server.good, server.earlier_good = generation, server.good

    def _reach(self) -> None:
        if not self.reachable:
            raise UnreachableError("the control plane is down")

    def _refuse(self, instance_id: str) -> None:
        if instance_id in self.refusals:
            raise self.refusals[instance_id]

    def _server(self, instance_id: str) -> _Server:
        self._reach()
        server = self.servers.get(instance_id)
        if server is None:
            raise RefusedError(404, "instance-not-found", f"there is no instance {instance_id!r}")
        return server

    def _state(self, instance_id: str) -> InstanceState:
        server = self.servers[instance_id]
        running = server.running
        return InstanceState(
            id=instance_id,
            generation=len(server.history),
            desired_digest=self._digest(server.history[-1]),
            desired_run_state="Running" if server.wanted else "Stopped",
            status=server.status,
            health=server.health,
            applied_digest=self._digest(running) if running else None,
            applied_generation=self._generation(server, running),
            applied_components_digest=self._observable(running) if running else None,
            observed_components_digest=server.observed,
            last_good_generation=server.good,
            reason=server.reason,
        )

    def _generation(self, server: _Server, document: Mapping[str, Any] | None) -> int | None:
        if document is None:
            return None
        wanted = self._digest(document)
        numbers = [n for n, each in enumerate(server.history, 1) if self._digest(each) == wanted]
        return numbers[-1] if numbers else None

    def _desired(self, server: _Server, generation: int) -> Desired:
        document = server.history[generation - 1]
        return Desired(dict(document), self._digest(document), generation)

    def _digest(self, document: Mapping[str, Any]) -> str:
        return self._both_digests(document)[1]

    def _observable(self, document: Mapping[str, Any]) -> str:
        return self._both_digests(document)[2]

    def _both_digests(self, document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, str]:
        """Computed once for each object, which is kept so that its address stays its own."""
        known = self._digests.get(id(document))
        if known is None:
            known = (document, digest(document), observable_digest(document))
            self._digests[id(document)] = known
        return known

    async def _tell(self, instance_id: str, kind: str) -> None:
        self._changes.append((instance_id, kind))
        async with self._news:
            self._news.notify_all()


class _Working:
    """Two calls on one instance at a time are what a reconciler must never make."""

    def __init__(self, control_plane: SimulatedControlPlane, instance_id: str) -> None:
        self._control_plane = control_plane
        self._instance_id = instance_id

    async def __aenter__(self) -> None:
        under_way = self._control_plane._under_way
        if self._instance_id in under_way:
            self._control_plane.overlaps += 1
        under_way.add(self._instance_id)

    async def __aexit__(self, *error: object) -> None:
        self._control_plane._under_way.discard(self._instance_id)
