"""A platform without processes: servers that exist as values, at once and by the thousand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from draas.contract.drasi_server import FOLLOWER
from draas.contract.slots import other
from draas.control_plane.ports import (
    ComponentStatus,
    Exit,
    Launch,
    LaunchError,
    Observation,
    Running,
    SlotOccupiedError,
    StepError,
)
from draas.decide.hot_apply import Step
from draas.model.clock import Clock
from draas.model.configuration import ConfigurationError, for_launch
from draas.model.status import Health, PlatformType
from draas.testing.simulated_handover import SimulatedHost

_KINDS = {"sources": "source", "queries": "query", "reactions": "reaction"}


@dataclass(slots=True)
class _Server:
    running: Running
    launched: dict[str, Any]
    reports: dict[str, Any]
    host: SimulatedHost
    child: bool = True


@dataclass(slots=True)
class SimulatedFleet:
    """What runs: it outlives the platforms that look after it, as processes do."""

    servers: dict[str, dict[str, _Server]] = field(default_factory=dict)
    addresses: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    refusals: dict[str, tuple[str, int]] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1000))

    def hosts(self, instance_id: str) -> dict[str, SimulatedHost]:
        """What runs of an instance, as it hands over, by slot: for `SimulatedHandover`."""
        return {name: each.host for name, each in self.servers.get(instance_id, {}).items()}


class SimulatedPlatform:
    """`Platform`, `Observer` and `Editor` over a `SimulatedFleet`, with handles to break it.

    A second platform over the same fleet is a control plane that was started again.
    """

    type = PlatformType.PROCESS

    def __init__(self, clock: Clock, fleet: SimulatedFleet | None = None) -> None:
        self._clock = clock
        self.fleet = SimulatedFleet() if fleet is None else fleet
        self._on_exit: Callable[[Exit], None] | None = None
        self._held: set[tuple[str, str]] = set()
        self.unchangeable: set[str] = set()
        self.edits: list[str] = []
        self.launching: Callable[[Launch], None] = lambda _launch: None

    # Breaking things

    def crash(self, instance_id: str, slot: str | None = None, exit_code: int = -9) -> None:
        """End a slot, the first one unless named, as `kill -9` would; `KeyError`: none runs."""
        slots = self.fleet.servers[instance_id]
        name = next(iter(slots)) if slot is None else slot
        server = slots[name]
        key = (instance_id, name)
        self._end(*key)
        if self._on_exit is not None and key in self._held:
            self._held.discard(key)
            code = exit_code if server.child else None
            self._on_exit(Exit(instance_id, name, server.running.process_id, code, ()))

    def tamper(
        self, instance_id: str, configuration: Mapping[str, Any], slot: str | None = None
    ) -> None:
        """Let a running slot report another configuration than it was started with."""
        slots = self.fleet.servers[instance_id]
        server = slots[next(iter(slots)) if slot is None else slot]
        server.reports = for_launch(configuration, instance_id=instance_id)

    def fail_launches(self, instance_id: str, reason: str, exit_code: int = 1) -> None:
        """Let every launch of the instance fail until `allow_launches`."""
        self.fleet.refusals[instance_id] = (reason, exit_code)

    def allow_launches(self, instance_id: str) -> None:
        """Let launches of the instance succeed again."""
        self.fleet.refusals.pop(instance_id, None)

    # Platform

    def unavailable(self) -> str | None:
        """Never."""
        return None

    async def start(self, launch: Launch) -> Running:
        """See `Platform.start`; `launching` is told of it first."""
        self.launching(launch)
        key = (launch.instance_id, launch.slot)
        try:
            document = for_launch(launch.configuration, instance_id=launch.instance_id)
        except ConfigurationError as error:
            raise LaunchError(f"the configuration cannot be written: {error}") from error
        document |= {"id": launch.instance_id, "host": launch.host, "port": launch.port}
        if held := self._take(*key):
            if held.launched == document:
                return held.running
            raise SlotOccupiedError(held.running)
        address = (launch.host, launch.port)
        if address in self.fleet.addresses:
            raise LaunchError(
                f"port {launch.port} on {launch.host} is in use; choose another port or end the "
                "program that holds it"
            )
        if launch.instance_id in self.fleet.refusals:
            reason, code = self.fleet.refusals[launch.instance_id]
            raise LaunchError(reason, exit_code=code)
        running = Running(*key, next(self.fleet.numbers), self._clock.now().timestamp(), *address)
        self.fleet.addresses[address] = key
        slots = self.fleet.servers.setdefault(launch.instance_id, {})
        follower = SimulatedHost(FOLLOWER, peer=other(launch.slot))
        host = follower if launch.follow else SimulatedHost()
        slots[launch.slot] = _Server(running, document, document, host)
        self._held.add(key)
        return running

    async def stop(self, instance_id: str, slot: str, *, keep_data: bool = False) -> bool:
        """See `Platform.stop`."""
        if self._take(instance_id, slot) is None:
            return False
        self._end(instance_id, slot)
        self._held.discard((instance_id, slot))
        return True

    async def adopt(self, known: Running | None, instance_id: str, slot: str) -> Running | None:
        """See `Platform.adopt`; what was recorded is not needed here."""
        server = self._take(instance_id, slot)
        return None if server is None else server.running

    async def remove(self, instance_id: str) -> None:
        """See `Platform.remove`; nothing is kept of what ended."""
        for server in self.fleet.servers.get(instance_id, {}).values():
            raise SlotOccupiedError(server.running)

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """See `Platform.watch`."""
        self._on_exit = on_exit

    async def close(self) -> None:
        """See `Platform.close`."""
        self._on_exit = None
        self._held.clear()

    # Editor

    async def carry_out(self, running: Running, step: Step) -> None:
        """See `Editor.carry_out`; ids in `unchangeable` are refused."""
        if step.id in self.unchangeable:
            raise StepError(f"{step.action} of {step.part}/{step.id} answered 500: simulated")
        server = self.fleet.servers[running.instance_id][running.slot]
        kept = [each for each in server.reports[step.part] if each["id"] != step.id]
        if step.action in ("start", "stop"):
            return
        self.edits.append(f"{step.action} {step.part}/{step.id}")
        added = [step.document] if step.document is not None else []
        server.reports = server.reports | {step.part: kept + added}

    # Observer

    async def observe(self, running: Running) -> Observation:
        """See `Observer.observe`: a running slot is Healthy, any other Unhealthy."""
        now = self._clock.now()
        server = self.fleet.servers.get(running.instance_id, {}).get(running.slot)
        if server is None or server.running != running:
            return Observation(now, Health.UNHEALTHY, "no answer: it does not run", None, ())
        snapshot = _snapshot(server.reports, running.instance_id)
        components = tuple(
            ComponentStatus(kind, each["id"], _status(each), auto_start=each["autoStart"])
            for part, kind in _KINDS.items()
            for each in server.reports[part]
        )
        return Observation(now, Health.HEALTHY, None, snapshot, components)

    def _take(self, instance_id: str, slot: str) -> _Server | None:
        server = self.fleet.servers.get(instance_id, {}).get(slot)
        if server is not None and (instance_id, slot) not in self._held:
            self._held.add((instance_id, slot))
            server.child = False
        return server

    def _end(self, instance_id: str, slot: str) -> None:
        slots = self.fleet.servers[instance_id]
        server = slots.pop(slot)
        if not slots:
            del self.fleet.servers[instance_id]
        del self.fleet.addresses[server.running.host, server.running.port]


def _snapshot(document: Mapping[str, Any], instance_id: str) -> dict[str, Any]:
    snapshot: dict[str, Any] = {"instance_id": instance_id, "edges": []}
    for part, kind in (("sources", "source_type"), ("reactions", "reaction_type")):
        snapshot[part] = [
            {
                "id": each["id"],
                kind: each["kind"],
                "status": _status(each),
                "auto_start": each["autoStart"],
                "queries": each.get("queries", []),
                "bootstrap_provider": each.get("bootstrapProvider"),
                "properties": each,
            }
            for each in document[part]
        ]
    snapshot["queries"] = [
        {"id": each["id"], "config": each, "status": _status(each)} for each in document["queries"]
    ]
    return snapshot


def _status(component: Mapping[str, Any]) -> str:
    return "Running" if component["autoStart"] else "Stopped"
