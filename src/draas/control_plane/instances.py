"""Instances: created with all they need, before anything of them runs (B-82, B-83)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.contract.problems import ProblemError
from draas.control_plane.documents import DEFAULT_HOST, document
from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.placement import listeners
from draas.control_plane.platforms import Platforms
from draas.control_plane.port_allocation import PortsExhaustedError, choose_port
from draas.control_plane.records import Cause, Generation, Record, slots_of
from draas.control_plane.status import transition
from draas.decide.kinds import Kinds
from draas.model.clock import Clock
from draas.model.configuration import ConfigurationError, canonical
from draas.model.instance import Instance
from draas.model.status import InstanceStatus, PlatformType, RunState


class _PortTaken(Exception):  # noqa: N818  a race that was lost, not a fault
    """Another control plane gave the port away meanwhile."""


@dataclass(frozen=True, slots=True)
class Creation:
    """What is asked for; `instance_id` of `None` means any."""

    instance_id: str | None
    name: str
    description: str = ""
    platform_type: PlatformType = PlatformType.PROCESS
    labels: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)
    desired_run_state: RunState = RunState.STOPPED


class Instances:
    """Makes instances; `ports` are those that may be given out, `can_bind` asks the machine."""

    def __init__(
        self,
        fleet: Fleet,
        platforms: Platforms,
        clock: Clock,
        ports: range,
        can_bind: Callable[[str, int], bool],
        kinds: Kinds | None,
    ) -> None:
        self._fleet = fleet
        self._platforms = platforms
        self._clock = clock
        self._ports = ports
        self._can_bind = can_bind
        self._kinds = kinds
        self._promised: set[int] = set()

    async def create(self, asked: Creation, cause: Cause) -> Record:
        """An instance with its first generation; it is not started.

        Raises:
            ProblemError: instance-exists, platform-unavailable, invalid-configuration or
                ports-exhausted.
        """
        instance_id = asked.instance_id or self._clock.new_id()
        self._require_new(instance_id in self._fleet, instance_id)
        self._platforms.available(asked.platform_type.value)
        while True:
            try:
                return await self._create(asked, instance_id, cause)
            except _PortTaken:
                continue

    async def _create(self, asked: Creation, instance_id: str, cause: Cause) -> Record:
        learned = self._fleet.learned
        port = self._port(asked.configuration)
        to_run = asked.desired_run_state is RunState.RUNNING
        wanted = document(asked.configuration, port=port, kinds=self._kinds, to_run=to_run)
        first = Generation(
            instance_id=instance_id,
            generation=1,
            digest=wanted.digest,
            document=wanted.encoded,
            at=cause.at,
            actor=cause.actor,
            operation_id=cause.operation_id,
        )
        new = Record(
            instance=Instance(
                id=instance_id,
                generation=1,
                desired_digest=wanted.digest,
                desired_run_state=asked.desired_run_state.value,
                status=InstanceStatus.CREATED.value,
                name=asked.name,
                description=asked.description,
                platform_type=asked.platform_type.value,
                created_at=cause.at,
                labels=dict(asked.labels),
                metadata=dict(asked.metadata),
            ),
            port=wanted.port,
        )

        def decide(record: Record | None) -> Transition:
            self._require_new(record is not None, instance_id)
            if port and learned != self._fleet.learned and port in self._taken():
                raise _PortTaken
            return transition(None, new, cause, generation=first)

        self._promised.add(wanted.port)
        try:
            return await self._fleet.change(instance_id, decide) or new
        finally:
            self._promised.discard(wanted.port)

    def _require_new(self, exists: bool, instance_id: str) -> None:
        if exists:
            raise ProblemError(
                "instance-exists",
                f"there is an instance {instance_id!r} already; choose another id or leave it out",
            )

    def _port(self, configuration: Mapping[str, Any]) -> int:
        """A free port, unless the configuration brings its own."""
        if brings_port(configuration):
            return 0
        taken = self._taken() | self._promised | _own(configuration)
        try:
            return choose_port(self._ports, taken, lambda port: self._can_bind(DEFAULT_HOST, port))
        except PortsExhaustedError as error:
            raise ProblemError("ports-exhausted", str(error)) from None

    def _taken(self) -> set[int]:
        """The ports of all instances, and those that their servers listen on."""
        taken = set()
        for record in self._fleet:
            taken.add(record.port)
            for slot in slots_of(record):
                taken.update({slot.port, *(place.port for place in slot.placement.values())})
        return taken


def _own(configuration: Mapping[str, Any]) -> set[int]:
    """The ports at which its own components listen, as far as it can be read at all."""
    try:
        complete = {"host": DEFAULT_HOST, "port": 0, **canonical(configuration)}
        return {each.port for each in listeners(complete)}
    except (ConfigurationError, KeyError, TypeError, ValueError):
        return set()  # What is wrong with it is told when it is checked.


def brings_port(configuration: Mapping[str, Any]) -> bool:
    """Whether the document, flat or nested and in any case, says a port."""
    members = {str(key).lower(): value for key, value in configuration.items()}
    nested = members.get("serverconfiguration")
    if isinstance(nested, Mapping) and brings_port(nested):
        return True
    return members.get("port") is not None
