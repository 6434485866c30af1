"""Second slots that belong to nobody are removed, by who has their instance; others are not."""

from __future__ import annotations

import asyncio

import pytest

from draas.client.port import Order
from draas.decide.assign import shard_name, shard_of
from draas.model import slots
from draas.reconciliation.leases import Member
from draas.testing import virtual_time
from draas.testing.memory_leases import MemoryLeases
from draas.testing.memory_store import MemoryReconciliationStore
from tests.unit.reconciliation.scenarios import kill_when, runs, simulated
from tests.unit.reconciliation.simulation import World, configuration

OLD, NEW = configuration(8100), configuration(9090)
SOON = 10


async def rolling_out(strategy: str = "BlueGreen", rate: float = 300.0) -> World:
    world = World(default_strategy=strategy)
    world.control_plane.router = "simulated"
    world.control_plane.rates["a"] = rate
    await world.running("a")
    return world


def stands_at(world: World, phase: str) -> bool:
    operation = world.store._operations.get("a")
    return operation is not None and operation.phase == phase


def second_slot(world: World) -> str | None:
    return world.control_plane._state("a").second_slot


def calls(world: World, kind: str) -> int:
    return world.control_plane.log.count((kind, "a"))


@pytest.mark.parametrize(
    ("phase", "left", "serves"),
    [("proving", slots.CANDIDATE, OLD), ("soaking", slots.RETIRED, NEW)],
    ids=["a candidate", "a retired one"],
)
def test_what_a_daemon_with_a_lost_store_left_is_removed(
    phase: str, left: str, serves: dict[str, object]
) -> None:
    async def scenario() -> None:
        world = await rolling_out()
        await world.control_plane.configure("a", NEW)
        assert await kill_when(world, lambda: stands_at(world, phase))
        world.store = MemoryReconciliationStore()
        assert second_slot(world) == left
        async with world.daemon():
            await world.until(lambda: calls(world, "close") == 1, within=SOON)
            assert runs(world, "a", serves)
            await asyncio.sleep(1)
            told = (await world.audit("a"))[0]
            assert (told.outcome, told.operation_id) == ("cleared", None)
            assert f"{left} slot belongs to no operation" in told.action
            await world.until(lambda: runs(world, "a", NEW), within=60)
        assert calls(world, "stop") == calls(world, "start") == 0

    virtual_time.run(scenario())


@simulated
async def test_news_of_a_slot_that_belongs_to_nobody_is_enough() -> None:
    world = await rolling_out()
    async with world.daemon():
        await asyncio.sleep(1)
        await opened_by_hand(world)
        await world.until(lambda: second_slot(world) is None, within=2)
    assert runs(world, "a", OLD)


@simulated
async def test_the_slot_of_an_open_operation_is_nobody_elses_business() -> None:
    world = await rolling_out("Canary", rate=0.0)
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await asyncio.sleep(1800)
    async with world.daemon():
        await asyncio.sleep(1800)
        assert stands_at(world, "analysing")
    assert second_slot(world) == slots.CANDIDATE
    assert calls(world, "close") == 0


@simulated
async def test_who_does_not_have_the_instance_leaves_its_slot_alone() -> None:
    world = await rolling_out()
    world.leases = MemoryLeases(world.clock)
    mine = [shard_name(shard_of("a"))]
    await world.leases.beat(Member("other"), 600.0)
    await world.leases.acquire("other", mine)
    async with world.daemon() as daemon:
        await opened_by_hand(world)
        await asyncio.sleep(300)
        assert not daemon.shards.owns("a")
        assert second_slot(world) == slots.CANDIDATE
        await world.leases.leave("other")
        await world.until(lambda: second_slot(world) is None, within=60)


@simulated
async def test_what_cannot_be_removed_now_is_removed_later() -> None:
    world = await rolling_out()
    await opened_by_hand(world)
    world.control_plane.slots_of("a").hosts[slots.MAIN].fails.add("status")
    async with world.daemon():
        await asyncio.sleep(120)
        assert second_slot(world) == slots.CANDIDATE
        assert calls(world, "close") == 0
        world.control_plane.slots_of("a").hosts[slots.MAIN].fails.clear()
        await world.until(lambda: second_slot(world) is None, within=60)


async def opened_by_hand(world: World) -> None:
    order = Order("by-hand", 0, "by-hand")
    await world.control_plane.open_slot("a", NEW, order, 60.0, allow_state_loss=False)
