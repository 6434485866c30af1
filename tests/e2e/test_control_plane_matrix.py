"""The control plane, or Envoy, killed with -9 in every phase of every strategy.

The daemon goes on. Servers survive, slots are adopted, Envoy is adopted or back at once, and the
operation ends as if nothing had happened; what is left is what the kill matrix asks for.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.e2e.changes import changing, visited_change
from tests.e2e.matrix import BY_ITSELF, STORES, Cell, cells, on, quick
from tests.e2e.world import World, world
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)
QUICK = ["RollingUpdate-switching-after"]
NEIGHBOUR = "neighbour"
BACK_WITHIN = 2.0
"""Seconds within which Envoy is there again."""


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("cell", cells("after", "before", quick=QUICK, strategies=BY_ITSELF))
async def test_the_control_plane_is_killed(
    cell: Cell, store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with (
        world(tmp_path, daemon=False, settings=on(store, request, cell.settings)) as made,
        changing(made, cell, "a") as change,
        _with_a_neighbour(made) as envoy,
    ):
        await change.order()
        victim = made.control_plane.process_id
        made.daemon = cell.doomed(made, signal.SIGKILL, victim=victim)
        await made.daemon.spawn()
        await change.urge(made.daemon_url)
        await is_killed_and_started_again(made)
        await eventually(change.is_told, within=20)
        await change.check()
        assert made.routers() == [envoy]
        assert change.nobody_noticed()


@pytest.mark.parametrize("cell", cells("after", "before", quick=[], strategies=BY_ITSELF))
async def test_envoy_is_killed(cell: Cell, tmp_path: Path) -> None:
    async with (
        world(tmp_path, daemon=False, settings=cell.settings) as made,
        changing(made, cell, "a") as change,
        _with_a_neighbour(made) as envoy,
    ):
        await change.order()
        made.daemon = cell.doomed(made, signal.SIGKILL, victim=envoy.pid)
        await made.daemon.spawn()
        await change.urge(made.daemon_url)
        await is_replaced(made, envoy)
        await serves(made, "a")
        await eventually(change.is_told, within=20)
        await change.check()


@dataclass(frozen=True)
class Point:
    """A strategy, and where in its calls the control plane is: see `doomed_control_plane`."""

    strategy: str
    name: str
    times: int = 1
    back: bool = False

    def __str__(self) -> str:
        return f"{self.strategy}-{self.name}-{self.times}{'-back' if self.back else ''}"

    def command(self, victim: str) -> tuple[str, ...]:
        """The control plane that kills the victim there."""
        module = "tests.support.doomed_control_plane"
        return (sys.executable, "-m", module, self.name, str(self.times), victim)


FORWARD = ("recorded", "spawned", "started", "sealed", "promoted", "followed", "draining")
POINTS = [
    *(Point("RollingUpdate", name) for name in (*FORWARD, "stopped")),
    *(Point("RollingUpdate", name, 2, back=True) for name in ("sealed", "promoted", "followed")),
    *(Point("RollingUpdate", name, back=True) for name in ("draining", "stopped")),
    *(Point("Canary", name) for name in ("weighed", "routing")),
    *(Point("Canary", name, back=True) for name in ("draining", "stopped")),
]
WITH_ROUTES = [
    *(Point("Canary", name) for name in ("weighed", "routing")),
    Point("RollingUpdate", "sealed"),
    Point("RollingUpdate", "promoted"),
    Point("RollingUpdate", "draining"),
    Point("RollingUpdate", "sealed", 2, back=True),
    Point("RollingUpdate", "draining", back=True),
]


def points(*known: Point) -> list[object]:
    soon = Point("RollingUpdate", "sealed")
    return [
        pytest.param(point, id=str(point), marks=() if point == soon else pytest.mark.matrix)
        for point in known
    ]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("point", points(*POINTS))
async def test_the_control_plane_is_killed_in_the_middle(
    point: Point, store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with (
        world(
            tmp_path,
            settings=on(store, request, quick(point.strategy, held=point.back)),
            control_plane=point.command("itself"),
        ) as made,
        visited_change(made, point.strategy, "a", back=point.back) as change,
    ):
        [envoy] = made.routers()
        await change.order()
        await change.urge(made.daemon_url)
        await is_killed_and_started_again(made)
        await eventually(change.is_told, within=20)
        await change.check()
        assert made.routers() == [envoy]
        assert change.nobody_noticed()


@pytest.mark.parametrize("point", points(*WITH_ROUTES))
async def test_envoy_is_killed_in_the_middle(point: Point, tmp_path: Path) -> None:
    async with (
        world(
            tmp_path,
            settings=quick(point.strategy, held=point.back),
            control_plane=point.command("envoy"),
        ) as made,
        visited_change(made, point.strategy, "a", back=point.back) as change,
    ):
        [envoy] = made.routers()
        await change.order()
        await change.urge(made.daemon_url)
        await is_replaced(made, envoy)
        await serves(made, "a")
        await eventually(change.is_told, within=20)
        await change.check()


@asynccontextmanager
async def _with_a_neighbour(made: World) -> AsyncIterator[psutil.Process]:
    """The router; it has the route of another instance as well, which must be left alone."""
    await made.create(NEIGHBOUR)
    process = await made.process_of(NEIGHBOUR)
    [envoy] = made.routers()
    yield envoy
    assert await made.process_of(NEIGHBOUR) == process
    assert len(made.servers()) == 2


async def is_killed_and_started_again(made: World) -> None:
    """Start it again as soon as it is dead; servers must have survived that."""
    async with asyncio.timeout(30):
        assert await made.control_plane.ended() == -signal.SIGKILL
    assert made.servers()
    await made.control_plane.start()


async def serves(made: World, name: str) -> None:
    """See that clients reach an instance at its address: the process of a router alone may not."""
    port = (await made.configuration(name))["port"]
    await eventually(lambda: made.healthy(port), within=20)


async def is_replaced(made: World, envoy: psutil.Process) -> None:
    """See that another Envoy is there soon after that one has died."""

    async def gone() -> bool:
        return envoy not in made.routers()

    async def back() -> bool:
        return len(made.routers()) == 1

    await eventually(gone, within=30)
    await eventually(back, within=BACK_WITHIN)
