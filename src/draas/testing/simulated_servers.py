"""The servers of a simulated fleet as values: what is wanted of them, what runs, what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from draas.model.configuration import digest, observable_digest
from draas.model.instance import InstanceState, OperationInFlight

PROBATION_SECONDS = 60.0
"""As in the real one: what ends by itself so soon did not prove its configuration."""


@dataclass(frozen=True)
class Fallen:
    """What ran has ended by itself, why, and with which generation; not everybody has seen it."""

    reason: str
    generation: int | None


@dataclass
class SimulatedServer:
    """One instance: the history of its desired configurations and what runs.

    `running` is the truth, `fence` the highest that any call came with; the other levels are what
    the control plane last learned of it. `past` has the states that were told, each with its time,
    for reads that come late.
    """

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
    fence: int = 0
    operation: OperationInFlight | None = None
    fallen: Fallen | None = None
    labels: dict[str, str] = field(default_factory=dict)
    past: list[tuple[float, InstanceState]] = field(default_factory=list)

    def doubt(self, now: float, generation: int | None) -> None:
        """It ended by itself: in probation the earlier good configuration counts."""
        soon = now - self.started_at < PROBATION_SECONDS
        if soon and generation == self.good and self.earlier_good is not None:
            self.good, self.earlier_good = self.earlier_good, None

    def praise(self, generation: int | None) -> None:
        """It was seen running well; who goes back to what was good before means it."""
        if generation is not None and generation == self.earlier_good:
            self.good, self.earlier_good = generation, None
        if generation is not None and (self.good is None or generation > self.good):
            self.good, self.earlier_good = generation, self.good


class Digests:
    """Digests of documents, computed once for each object."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Mapping[str, Any], str, str]] = {}

    def whole(self, document: Mapping[str, Any]) -> str:
        """The digest of the configuration."""
        return self._both(document)[1]

    def observable(self, document: Mapping[str, Any]) -> str:
        """The digest of what a running server tells of it."""
        return self._both(document)[2]

    def _both(self, document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str, str]:
        """The object is kept, so that its address stays its own."""
        known = self._known.get(id(document))
        if known is None:
            known = (document, digest(document), observable_digest(document))
            self._known[id(document)] = known
        return known


def state_of(
    instance_id: str, server: SimulatedServer, digests: Digests, generation: int | None
) -> InstanceState:
    """The instance as the control plane tells it; `generation` is that of what runs."""
    running = server.running if server.status == "Running" else None
    return InstanceState(
        id=instance_id,
        generation=len(server.history),
        desired_digest=digests.whole(server.history[-1]),
        desired_run_state="Running" if server.wanted else "Stopped",
        status=server.status,
        health=server.health,
        applied_digest=digests.whole(running) if running else None,
        applied_generation=generation if running else None,
        applied_components_digest=digests.observable(running) if running else None,
        observed_components_digest=server.observed,
        last_good_generation=server.good,
        reason=server.reason,
        operation=server.operation,
        labels=server.labels or msgspec.UNSET,
    )
