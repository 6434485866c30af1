"""What every native control plane must do for a daemon; a test class gives the suite a `world`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import pytest

from draas.client.port import ControlPlane, FleetStates, Order, RefusedError
from draas.contract.feed import Change
from draas.model.configuration import digest
from draas.model.instance import InstanceState
from draas.testing.configurations import configuration

FIRST = configuration(9101)
CHANGED = configuration(9101, "MATCH (m) RETURN m")
OTHER = configuration(9102)
SECONDS = 10.0
KEYS = map(str, itertools.count(1))


class World(Protocol):
    """A control plane as a daemon reaches it, and what people and the world do to its instances."""

    @property
    def plane(self) -> ControlPlane: ...

    async def create(
        self, instance_id: str, document: Mapping[str, Any], labels: Mapping[str, str] | None = None
    ) -> None: ...

    async def configure(self, instance_id: str, document: Mapping[str, Any]) -> None: ...

    async def want(self, instance_id: str, *, running: bool) -> None: ...

    async def crash(self, instance_id: str) -> None: ...

    async def delete(self, instance_id: str) -> None: ...

    def doom(self, instance_id: str, document: Mapping[str, Any]) -> None:
        """Let the instance's starts with the document fail."""


async def state(world: World, instance_id: str = "a") -> InstanceState:
    found = await world.plane.state(instance_id)
    assert found is not None
    return found


def order() -> Order:
    """For a call that nobody made before."""
    return Order("op", 1, next(KEYS))


async def wanted(world: World) -> None:
    """`a` with its first configuration, which its user wants to run and an operation stopped."""
    await world.create("a", FIRST)
    await world.want("a", running=True)
    await world.plane.stop("a", order(), SECONDS)


async def start(world: World, document: Mapping[str, Any], instance_id: str = "a") -> None:
    await world.plane.start(instance_id, document, order(), SECONDS)


async def healthy(world: World) -> InstanceState:
    """The state once the control plane has looked at what was started."""
    async with asyncio.timeout(SECONDS):
        while (found := await state(world)).health != "Healthy":
            await asyncio.sleep(0.02)
    return found


async def told(world: World, cursor: str, kind: str) -> Change:
    """The next change of a kind."""
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await world.plane.changes(cursor, 1.0)
            for change in answer.changes:
                if change.kind == kind:
                    return change
            cursor = answer.cursor


async def refused(call: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await call
    return caught.value


class ControlPlaneContract:
    async def test_a_new_instance_was_never_started(self, world: World) -> None:
        await world.create("a", FIRST)
        found = await state(world)
        assert (found.status, found.desired_run_state, found.generation) == (
            "Created",
            "Stopped",
            1,
        )
        assert (found.desired_digest, found.applied_digest) == (digest(FIRST), None)
        assert await world.plane.last_good("a") is None

    async def test_labels_are_told_where_there_are_any(self, world: World) -> None:
        cursor = (await world.plane.fleet() or FleetStates(())).cursor
        await world.create("a", FIRST, {"region": "north"})
        await world.create("b", OTHER)
        listed = await world.plane.fleet()
        assert listed is not None
        assert {each.id: each.labels for each in listed.states} == {
            "a": {"region": "north"},
            "b": msgspec.UNSET,
        }
        assert (await state(world)).labels == {"region": "north"}
        assert cursor is not None
        news = await told(world, cursor, "Created")
        assert news.state is not None
        assert news.state.labels == {"region": "north"}

    async def test_a_start_runs_what_it_brings(self, world: World) -> None:
        await wanted(world)
        assert (await state(world)).status == "Stopped"
        await start(world, FIRST)
        found = await healthy(world)
        assert (found.status, found.desired_run_state) == ("Running", "Running")
        assert (found.applied_digest, found.applied_generation) == (digest(FIRST), 1)
        assert found.observed_components_digest == found.applied_components_digest
        assert found.operation is None

    async def test_no_operation_starts_what_its_user_stopped(self, world: World) -> None:
        await wanted(world)
        await world.want("a", running=False)
        error = await refused(start(world, FIRST))
        assert (error.status, error.kind, error.transient) == (409, "stopped-by-user", True)
        assert (await state(world)).status == "Stopped"

    async def test_what_runs_is_not_started_again(self, world: World) -> None:
        await wanted(world)
        await start(world, FIRST)
        await start(world, FIRST)
        error = await refused(start(world, OTHER))
        assert (error.status, error.kind, error.transient) == (409, "instance-running", True)
        assert (await state(world)).applied_digest == digest(FIRST)

    async def test_a_stop_tells_whether_anything_ran(self, world: World) -> None:
        await wanted(world)
        assert await world.plane.stop("a", order(), SECONDS) is False
        await start(world, FIRST)
        assert await world.plane.stop("a", order(), SECONDS) is True
        found = await state(world)
        assert (found.status, found.applied_digest) == ("Stopped", None)

    async def test_a_start_that_fails_is_proven_and_says_why(self, world: World) -> None:
        await wanted(world)
        world.doom("a", FIRST)
        error = await refused(start(world, FIRST))
        assert (error.kind, error.transient) == ("start-failed", False)
        found = await state(world)
        assert (found.status, found.applied_digest) == ("Error", None)
        assert "no such plugin" in (found.reason or "")

    async def test_what_is_not_there_is_said_to_be_gone(self, world: World) -> None:
        assert await world.plane.state("a") is None
        calls = (world.plane.desired("a"), start(world, FIRST), world.plane.stop("a", order(), 1.0))
        for call in calls:
            assert (await refused(call)).kind == "instance-not-found"

    async def test_a_new_configuration_is_a_new_generation(self, world: World) -> None:
        await world.create("a", FIRST)
        listed = await world.plane.fleet()
        assert listed is not None and listed.cursor is not None
        await world.configure("a", CHANGED)
        assert (await told(world, listed.cursor, "ConfigurationChanged")).instance_id == "a"
        desired = await world.plane.desired("a")
        assert (desired.generation, desired.digest) == (2, digest(CHANGED))
        before = await world.plane.generation("a", 1)
        assert before is not None and digest(before) == digest(FIRST)
        assert await world.plane.generation("a", 3) is None

    async def test_what_ran_well_stays_the_last_good(self, world: World) -> None:
        await wanted(world)
        await start(world, FIRST)
        await healthy(world)
        await world.configure("a", OTHER)
        good = await world.plane.last_good("a")
        assert good is not None and (good.generation, good.digest) == (1, digest(FIRST))

    async def test_what_ends_at_once_gives_way_to_the_earlier_good_one(self, world: World) -> None:
        await world.create("a", FIRST)
        await world.want("a", running=True)
        await healthy(world)
        await world.configure("a", OTHER)
        await world.plane.stop("a", order(), SECONDS)
        await start(world, OTHER)
        assert (await healthy(world)).last_good_generation == 2
        await world.crash("a")
        assert (await state(world)).last_good_generation == 1

    async def test_who_goes_back_to_the_earlier_good_one_takes_the_praise_back(
        self, world: World
    ) -> None:
        await world.create("a", FIRST)
        await world.want("a", running=True)
        await healthy(world)
        await world.configure("a", OTHER)
        for document, good in ((OTHER, 2), (FIRST, 1), (OTHER, 2)):
            await world.plane.stop("a", order(), SECONDS)
            await start(world, document)
            assert (await healthy(world)).last_good_generation == good

    async def test_a_crash_is_told_with_its_reason(self, world: World) -> None:
        await world.create("a", FIRST)
        await world.want("a", running=True)
        await healthy(world)
        listed = await world.plane.fleet()
        assert listed is not None and listed.cursor is not None
        await world.crash("a")
        change = await told(world, listed.cursor, "StatusChanged")
        assert change.state is not None
        assert (change.state.status, change.state.applied_digest) == ("Error", None)
        assert (change.state.desired_run_state, bool(change.state.reason)) == ("Running", True)

    async def test_the_list_and_the_feed_leave_nothing_out(self, world: World) -> None:
        await world.create("a", FIRST)
        listed = await world.plane.fleet()
        assert listed is not None and listed.cursor is not None
        assert [each.id for each in listed.states] == ["a"]
        assert await world.plane.fleet(listed.etag) is None
        await world.create("b", OTHER)
        assert (await told(world, listed.cursor, "Created")).instance_id == "b"
        await world.delete("a")
        assert (await told(world, listed.cursor, "Deleted")).state is None
        again = await world.plane.fleet(listed.etag)
        assert again is not None and [each.id for each in again.states] == ["b"]

    async def test_a_running_server_is_changed_in_place_except_its_settings(
        self, world: World
    ) -> None:
        await wanted(world)
        error = await refused(world.plane.apply("a", CHANGED, order(), SECONDS))
        assert error.kind == "instance-not-running"
        await start(world, FIRST)
        await healthy(world)
        await world.configure("a", CHANGED)
        await world.plane.apply("a", CHANGED, order(), SECONDS)
        found = await healthy(world)
        assert (found.applied_digest, found.applied_generation) == (digest(CHANGED), 2)
        error = await refused(world.plane.apply("a", OTHER, order(), SECONDS))
        assert (error.kind, error.transient) == ("restart-needed", False)
