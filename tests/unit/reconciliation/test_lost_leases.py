"""A daemon that loses the lease of what it works on."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from draas.decide.assign import shard_name, shard_of
from draas.model.audit import AuditEntry
from draas.model.reconciliation import Operation
from draas.reconciliation.leases import Member
from draas.reconciliation.store import StoreError
from draas.testing.configurations import configuration
from draas.testing.memory_leases import MemoryLeases
from draas.testing.memory_store import MemoryReconciliationStore
from tests.unit.reconciliation.scenarios import runs, simulated
from tests.unit.reconciliation.simulation import World


@simulated
async def test_a_call_that_outlives_the_lease_keeps_its_place_in_the_budget() -> None:
    world = World(max_concurrent_reconciliations=1, restart_delay=timedelta())
    world.leases = MemoryLeases(world.clock)
    await world.running("a", "b")
    busy: list[int] = []
    async with world.daemon():
        await asyncio.sleep(3)
        world.control_plane.start_seconds = 20.0
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: at_work(world) == ["a"])
        world.leases.broken = True
        await asyncio.sleep(8)
        world.leases.broken = False
        await world.control_plane.configure("b", configuration(9091))

        def both_run() -> bool:
            busy.append(len(at_work(world)))
            wanted = {"a": configuration(9090), "b": configuration(9091)}
            return all(runs(world, name, each) for name, each in wanted.items())

        await world.until(both_run)
    assert max(busy) == 1


class HesitantStore(MemoryReconciliationStore):
    """Takes long to say that it could not keep an operation."""

    seconds = 0.0

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
            raise StoreError("the store was long away")
        await super().save_operation(operation, *entries)


@simulated
async def test_a_pass_that_fails_after_its_lease_is_lost_gives_its_place_back() -> None:
    world = World(max_concurrent_reconciliations=1, restart_delay=timedelta())
    world.leases, store = MemoryLeases(world.clock), HesitantStore()
    world.store = store
    names = ("a", "b", "c", "d", "e", "f")
    await world.running(*names)
    async with world.daemon() as daemon:
        await asyncio.sleep(3)
        store.seconds = 14.0
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: daemon.places.taken == {"a"})
        world.leases.broken = True
        await asyncio.sleep(8)
        world.leases.broken = False
        await world.leases.beat(Member("other"), 3600.0)
        await world.leases.acquire("other", [shard_name(shard_of("a"))])
        store.seconds = 0.0
        await world.until(lambda: any(map(daemon.shards.owns, names)))
        mine = next(name for name in names if daemon.shards.owns(name))
        await world.control_plane.configure(mine, configuration(9091))
        await world.until(lambda: runs(world, mine, configuration(9091)))


def at_work(world: World) -> list[str]:
    """The instances on which a lifecycle call is under way."""
    servers = world.control_plane.servers
    return [name for name, server in servers.items() if server.operation is not None]
