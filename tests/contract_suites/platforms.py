"""What every platform must do; a test class derives from the suite and gives it a `world`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from draas.control_plane.ports import (
    Exit,
    Launch,
    LaunchError,
    Observer,
    Platform,
    Running,
    SlotOccupiedError,
)
from draas.model.configuration import from_snapshot
from draas.model.status import Health
from tests.support.eventually import eventually

DOCUMENT = {"sources": [{"kind": "mock", "id": "s1", "intervalMs": 60_000}]}
OTHER = {"sources": [{"kind": "mock", "id": "s2", "intervalMs": 60_000}]}


class World(Protocol):
    """A platform, and the means to do to it what only happens."""

    doomed_code: int

    @property
    def platform(self) -> Platform: ...

    @property
    def observer(self) -> Observer: ...

    def free_port(self) -> int: ...

    async def restart_control_plane(self) -> None:
        """Replace `platform` by a new one that knows nothing."""

    async def crash(self, running: Running) -> None: ...

    def doomed(self, launch: Launch) -> Launch:
        """A launch that ends at once with `doomed_code`."""


def launch(world: World, document: Mapping[str, Any] = DOCUMENT, **members: Any) -> Launch:
    given: dict[str, Any] = {"instance_id": "alpha", "slot": "main", "host": "127.0.0.1"} | members
    return Launch(configuration=document, **{"port": world.free_port()} | given)


def watched(world: World) -> list[Exit]:
    exits: list[Exit] = []
    world.platform.watch(exits.append)
    return exits


class PlatformContract:
    async def test_a_started_slot_answers_as_itself(self, world: World) -> None:
        wanted = launch(world)
        running = await world.platform.start(wanted)
        assert (running.instance_id, running.slot) == ("alpha", "main")
        assert (running.host, running.port) == (wanted.host, wanted.port)
        seen = await world.observer.observe(running)
        assert (seen.health, seen.reason) == (Health.HEALTHY, None)
        assert seen.snapshot is not None
        assert [each["id"] for each in from_snapshot(seen.snapshot)["sources"]] == ["s1"]
        assert [(each.kind, each.id, each.status) for each in seen.components] == [
            ("source", "s1", "Running")
        ]

    async def test_an_identical_start_changes_nothing(self, world: World) -> None:
        wanted = launch(world)
        running = await world.platform.start(wanted)
        assert await world.platform.start(wanted) == running

    async def test_starts_at_once_make_one_server(self, world: World) -> None:
        wanted = launch(world)
        assert len(set(await asyncio.gather(*[world.platform.start(wanted)] * 3))) == 1

    @pytest.mark.parametrize("after_restart", [False, True], ids=["held", "found again"])
    async def test_an_occupied_slot_is_left_alone(self, world: World, after_restart: bool) -> None:
        wanted = launch(world)
        running = await world.platform.start(wanted)
        if after_restart:
            await world.restart_control_plane()
            assert await world.platform.start(wanted) == running
        with pytest.raises(SlotOccupiedError) as refused:
            await world.platform.start(launch(world, OTHER))
        assert refused.value.running == running
        assert (await world.observer.observe(running)).health is Health.HEALTHY

    async def test_stop_ends_it_once(self, world: World) -> None:
        exits = watched(world)
        wanted = launch(world)
        running = await world.platform.start(wanted)
        assert await world.platform.stop("alpha", "main") is True
        assert await world.platform.stop("alpha", "main") is False
        assert (await world.observer.observe(running)).health is Health.UNHEALTHY
        again = await world.platform.start(wanted)
        assert again.process_id != running.process_id
        assert exits == []

    async def test_stop_of_what_never_ran(self, world: World) -> None:
        assert await world.platform.stop("nobody", "main") is False

    async def test_a_launch_that_dies_leaves_nothing(self, world: World) -> None:
        exits = watched(world)
        wanted = launch(world)
        with pytest.raises(LaunchError) as failed:
            await world.platform.start(world.doomed(wanted))
        assert failed.value.exit_code == world.doomed_code
        assert await world.platform.adopt(None, "alpha", "main") is None
        assert exits == []

    async def test_a_taken_port_fails_fast(self, world: World) -> None:
        wanted = launch(world)
        await world.platform.start(wanted)
        with pytest.raises(LaunchError, match=f"port {wanted.port} on 127.0.0.1 is in use; "):
            await world.platform.start(launch(world, instance_id="beta", port=wanted.port))
        assert await world.platform.adopt(None, "beta", "main") is None

    async def test_a_crash_is_told_once(self, world: World) -> None:
        exits = watched(world)
        wanted = launch(world)
        running = await world.platform.start(wanted)
        await world.crash(running)
        await eventually(lambda: _given(exits))
        assert [(e.instance_id, e.slot, e.process_id, e.exit_code) for e in exits] == [
            ("alpha", "main", running.process_id, -9)
        ]
        again = await world.platform.start(wanted)
        assert again.process_id != running.process_id
        assert len(exits) == 1

    async def test_slots_run_side_by_side(self, world: World) -> None:
        blue = await world.platform.start(launch(world, slot="blue"))
        green = await world.platform.start(launch(world, OTHER, slot="green"))
        assert await world.platform.stop("alpha", "blue") is True
        assert (await world.observer.observe(blue)).health is Health.UNHEALTHY
        assert (await world.observer.observe(green)).health is Health.HEALTHY

    @pytest.mark.parametrize("recorded", ["known", "lost", "stale"])
    async def test_a_new_control_plane_adopts(self, world: World, recorded: str) -> None:
        running = await world.platform.start(launch(world))
        await world.restart_control_plane()
        exits = watched(world)
        known = {
            "known": running,
            "lost": None,
            "stale": Running("alpha", "main", running.process_id, 1.0, "127.0.0.1", 1),
        }[recorded]
        assert await world.platform.adopt(known, "alpha", "main") == running
        assert await world.platform.adopt(known, "alpha", "main") == running
        await world.crash(running)
        await eventually(lambda: _given(exits))
        assert [(e.process_id, e.exit_code) for e in exits] == [(running.process_id, None)]
        assert await world.platform.adopt(running, "alpha", "main") is None

    async def test_a_new_control_plane_stops_what_it_never_adopted(self, world: World) -> None:
        running = await world.platform.start(launch(world))
        await world.restart_control_plane()
        assert await world.platform.stop("alpha", "main") is True
        assert (await world.observer.observe(running)).health is Health.UNHEALTHY

    async def test_nothing_to_adopt(self, world: World) -> None:
        gone = Running("alpha", "main", 2**22, 1.0, "127.0.0.1", world.free_port())
        assert await world.platform.adopt(gone, "alpha", "main") is None
        assert await world.platform.adopt(None, "alpha", "main") is None

    @pytest.mark.parametrize("after_restart", [False, True], ids=["held", "found again"])
    async def test_only_what_does_not_run_is_removed(
        self, world: World, after_restart: bool
    ) -> None:
        running = await world.platform.start(launch(world))
        if after_restart:
            await world.restart_control_plane()
        with pytest.raises(SlotOccupiedError):
            await world.platform.remove("alpha")
        assert (await world.observer.observe(running)).health is Health.HEALTHY
        await world.platform.stop("alpha", "main")
        await world.platform.remove("alpha")
        await world.platform.remove("alpha")

    @pytest.mark.parametrize(
        "identity",
        ["../../escape", "a/b", ".", "..", "ünï cødé ☃", "x" * 300, "a:b#c'\"\n", "8e12"],
    )
    async def test_any_identity(self, world: World, identity: str) -> None:
        running = await world.platform.start(launch(world, instance_id=identity, slot=identity))
        assert (await world.observer.observe(running)).health is Health.HEALTHY
        await world.restart_control_plane()
        assert await world.platform.adopt(None, identity, identity) == running
        assert await world.platform.stop(identity, identity) is True

    async def test_a_document_that_is_none(self, world: World) -> None:
        with pytest.raises(LaunchError, match="cannot be written"):
            await world.platform.start(launch(world, {"sources": "none"}))


async def _given(exits: list[Exit]) -> bool:
    return bool(exits)
