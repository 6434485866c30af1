"""What the simulated scenarios have in common."""

from __future__ import annotations

import asyncio
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


async def kill_when(world: World, reached: Callable[[], bool]) -> bool:
    """Kill a daemon as soon as it has stored what `reached` tells; whether it ever did."""
    store_save = world.store.save_operation
    hit = asyncio.Event()

    async def save(operation: Any, *entries: Any) -> None:
        await store_save(operation, *entries)
        if reached():
            hit.set()
            await asyncio.Event().wait()

    world.store.save_operation = save  # type: ignore[method-assign]
    killed = asyncio.create_task(world.killed_daemon(hit.is_set))
    async with asyncio.timeout(1200):
        await killed
    world.store.save_operation = store_save  # type: ignore[method-assign]
    return hit.is_set()
