"""What the simulated scenarios have in common."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from draas.model.configuration import digest
from draas.testing import virtual_time
from tests.unit.reconciliation.simulation import World

Scenario = Callable[[], Coroutine[Any, Any, None]]


def simulated(scenario: Scenario) -> Callable[[], None]:
    """The scenario as a test on virtual time."""

    def test() -> None:
        virtual_time.run(scenario())

    test.__doc__ = scenario.__doc__
    return test


def starts(world: World, name: str) -> int:
    return world.control_plane.servers[name].starts


def runs(world: World, name: str, document: dict[str, Any]) -> bool:
    running = world.control_plane.servers[name].running
    return running is not None and digest(running) == digest(document)
