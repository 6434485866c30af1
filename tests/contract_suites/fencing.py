"""How every native control plane treats fences and repeated calls."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import pytest

from draas.client.port import RefusedError
from draas.testing.configurations import configuration

DOCUMENT = configuration(9111)


class World(Protocol):
    """A control plane with one instance, `a`, and lifecycle calls on it with all their headers."""

    async def create(self, instance_id: str, document: Any) -> None: ...

    async def call(self, action: str, fence: int | None = None, key: str | None = None) -> None:
        """Start with `DOCUMENT`, change in place to it, or stop; RefusedError if refused."""

    async def delete(self, instance_id: str) -> None: ...

    async def status(self) -> str: ...

    def doom(self, instance_id: str, document: Any) -> None: ...

    def spare(self, instance_id: str, document: Any) -> None: ...


async def refused(world: World, action: str, **members: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await world.call(action, **members)
    return caught.value


class FencingContract:
    @pytest.mark.parametrize("action", ["start", "stop", "apply"])
    async def test_an_older_fence_is_refused(self, world: World, action: str) -> None:
        await world.create("a", DOCUMENT)
        await world.call("start", 7)
        error = await refused(world, action, fence=6)
        assert (error.status, error.kind, error.transient) == (409, "stale-fence", False)
        assert (error.members["fence"], error.members["highest"]) == (6, 7)
        assert await world.status() == "Running"

    @pytest.mark.parametrize("fence", [7, 8, None], ids=["the same", "a newer", "a person's"])
    async def test_others_are_obeyed(self, world: World, fence: int | None) -> None:
        await world.create("a", DOCUMENT)
        await world.call("start", 7)
        await world.call("stop", fence)
        assert await world.status() == "Stopped"

    async def test_a_call_that_changes_nothing_fences_too(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        await world.call("stop", 9)
        assert (await refused(world, "start", fence=8)).kind == "stale-fence"

    async def test_a_fence_outlives_the_instance(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        await world.call("stop", 7)
        await world.delete("a")
        await world.create("a", DOCUMENT)
        assert (await refused(world, "start", fence=6)).kind == "stale-fence"
        await world.call("start", 7)
        assert await world.status() == "Running"

    async def test_a_repeated_call_is_made_once(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        await world.call("start", 1, "k")
        await world.call("stop")
        await world.call("start", 1, "k")
        assert await world.status() == "Stopped"

    async def test_a_call_that_is_under_way_is_joined(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        await asyncio.gather(*(world.call("start", 1, "k") for _ in range(4)))
        assert await world.status() == "Running"

    async def test_a_failed_start_is_answered_again(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        world.doom("a", DOCUMENT)
        assert (await refused(world, "start", key="k")).kind == "start-failed"
        world.spare("a", DOCUMENT)
        assert (await refused(world, "start", key="k")).kind == "start-failed"

    async def test_a_refused_call_may_be_made_again(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        await world.call("start", 5)
        assert (await refused(world, "stop", fence=4, key="s")).kind == "stale-fence"
        await world.call("stop", 5, "s")
        assert await world.status() == "Stopped"

    async def test_one_key_for_two_calls_is_refused(self, world: World) -> None:
        await world.create("a", DOCUMENT)
        await world.call("start", key="k")
        error = await refused(world, "stop", key="k")
        assert (error.status, error.kind) == (422, "idempotency-key-reused")
        assert await world.status() == "Running"
