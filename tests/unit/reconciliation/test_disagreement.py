"""Old answers and clocks that were set: nothing is taken for granted, nothing waits for ever."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from draas.client.port import RefusedError
from draas.model.audit import AuditEntry
from draas.model.configuration import digest
from draas.model.reconciliation import Memory, Operation
from draas.reconciliation.store import StoreError
from draas.testing.configurations import configuration
from draas.testing.memory_store import MemoryReconciliationStore
from tests.unit.reconciliation.scenarios import runs, simulated, starts
from tests.unit.reconciliation.simulation import World
from tests.unit.reconciliation.test_interruptions import until_phase


@simulated
async def test_a_crash_that_an_old_answer_hides_is_repaired_once_the_answers_are_new() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await asyncio.sleep(40)
        world.control_plane.lag = 5.0
        await world.control_plane.crash("a")
        await asyncio.sleep(3)
        assert starts(world, "a") == 0, "the control plane still says that it runs"
        await world.until(lambda: starts(world, "a") == 1, within=10)


@simulated
async def test_a_crash_of_the_last_good_one_that_an_old_answer_hides_is_repaired() -> None:
    world = World(enable_auto_reconciliation=False)
    await world.running("a")
    bad = configuration(1024)
    world.control_plane.failing[digest(bad)] = "cannot start"
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", bad)
        await world.until(lambda: bool(daemon.fleet.memory("a").quarantines))
        await asyncio.sleep(10)
        world.control_plane.lag = 1.0
        await world.control_plane.crash("a")
        await asyncio.sleep(1)
        world.control_plane.lag = 0.0
        await world.until(lambda: runs(world, "a", configuration(8100)), within=30)


@simulated
async def test_what_healed_by_itself_is_left_alone() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await asyncio.sleep(40)
        await world.control_plane.crash("a")
        await world.control_plane.want("a", running=True)
        await asyncio.sleep(60)
    assert world.control_plane.log == []


@simulated
async def test_a_clock_that_is_set_back_does_not_hold_a_verification() -> None:
    world = World()
    await world.running("a")
    sick = configuration(9090)
    world.control_plane.sick.add(digest(sick))
    async with world.daemon():
        await world.control_plane.configure("a", sick)
        await world.until(lambda: runs(world, "a", sick))
        await asyncio.sleep(5)
        world.clock.jump(timedelta(hours=-1))
        await world.until(lambda: runs(world, "a", configuration(8100)), within=60)


@simulated
async def test_a_slow_server_is_not_blamed_for_the_time_in_which_no_daemon_ran() -> None:
    world = World()
    await world.running("a")
    wanted = configuration(9090)
    world.control_plane.sick.add(digest(wanted))
    await world.control_plane.configure("a", wanted)
    await world.killed_daemon(lambda: runs(world, "a", wanted))
    await asyncio.sleep(45)
    async with world.daemon() as daemon:
        await asyncio.sleep(10)
        world.control_plane.sick.clear()
        await world.control_plane.look("a")
        await asyncio.sleep(60)
        assert runs(world, "a", wanted)
        assert daemon.fleet.memory("a").quarantines == ()


@simulated
async def test_a_stop_that_old_answers_hide_from_a_start_is_kept() -> None:
    world = World()
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", configuration(9090))
        await until_phase(world, "starting")
        world.control_plane.lag = 0.3
        await asyncio.sleep(1.8)
        await world.control_plane.want("a", running=False)
        await asyncio.sleep(60)
        assert daemon.fleet.memory("a").quarantines == ()
    assert starts(world, "a") == 0, "the control plane knew of the stop"
    assert world.control_plane.servers["a"].running is None


@simulated
async def test_an_old_answer_does_not_replace_a_newer_target() -> None:
    world = World()
    await world.running("a")
    wanted = configuration(9090)
    async with world.daemon() as daemon:
        await asyncio.sleep(40)
        await world.control_plane.configure("a", wanted)
        await until_phase(world, "starting")
        world.control_plane.lag = 3.0
        await asyncio.sleep(6)
        world.control_plane.lag = 0.0
        await world.until(lambda: runs(world, "a", wanted), within=60)
        await asyncio.sleep(5)
        assert daemon.fleet.memory("a").quarantines == ()


@simulated
async def test_an_old_answer_is_not_taken_for_an_id_that_was_given_again() -> None:
    world = World()
    await world.running("a")
    bad = configuration(1024)
    world.control_plane.failing[digest(bad)] = "cannot start"
    async with world.daemon() as daemon:
        await asyncio.sleep(40)
        await world.control_plane.configure("a", bad)
        await world.until(lambda: bool(daemon.fleet.memory("a").quarantines))
        world.control_plane.lag = 10.0
        await world.control_plane.crash("a")
        await asyncio.sleep(5)
        assert daemon.fleet.memory("a").quarantines, "nothing was forgotten"


@simulated
async def test_a_crash_told_in_the_middle_of_a_pass_is_not_forgotten() -> None:
    world = World()
    await world.running("a")
    wanted = configuration(9090)
    async with world.daemon():
        await asyncio.sleep(40)
        world.control_plane.look_seconds = 0.5
        await world.control_plane.configure("a", wanted)
        await world.until(lambda: runs(world, "a", wanted))
        world.control_plane.lag = 0.3
        await asyncio.sleep(0.85)
        await world.control_plane.crash("a")
        await asyncio.sleep(2)
        world.control_plane.lag = 0.0
        await world.until(lambda: starts(world, "a") == 2, within=10)


@simulated
async def test_a_wait_is_over_in_a_later_life_though_the_clock_was_set_back() -> None:
    world = World()
    await world.running("a")
    wanted = configuration(9090)
    await world.control_plane.configure("a", wanted)
    await world.killed_daemon(lambda: _phase(world) == "starting")
    world.clock.jump(timedelta(hours=-1))
    stored = world.store._operations["a"]
    await world.killed_daemon(lambda: world.store._operations["a"] != stored)
    async with world.daemon():
        await world.until(lambda: runs(world, "a", wanted), within=60)


def _phase(world: World) -> str:
    operation = world.store._operations.get("a")
    return operation.phase if operation else ""


class DeafStore(MemoryReconciliationStore):
    """Keeps the first and the last write of an operation, and says that it could not."""

    def __init__(self) -> None:
        super().__init__()
        self.denied: set[str] = set()

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        await super().save_operation(operation, *entries)
        self._deny("save")

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        await super().finish(operation, memory, *entries)
        self._deny("finish")

    def _deny(self, what: str) -> None:
        if what not in self.denied:
            self.denied.add(what)
            raise StoreError("the connection was lost")


@simulated
async def test_a_story_is_told_once_though_the_store_denied_to_have_heard_it() -> None:
    world = World()
    world.store = DeafStore()
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(60)
        assert daemon.journal.open == {}
    assert world.store._operations == {}
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "succeeded"]
    assert starts(world, "a") == 1


class SlowStore(MemoryReconciliationStore):
    """Takes a second to keep an operation."""

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        await asyncio.sleep(1)
        await super().save_operation(operation, *entries)


@simulated
async def test_a_clock_that_is_set_back_in_the_middle_of_a_pass_delays_no_retry() -> None:
    world = World()
    world.store = SlowStore()
    await world.running("a")
    wanted = configuration(9090)
    async with world.daemon():
        await asyncio.sleep(40)
        world.control_plane.refusals["a"] = RefusedError(503, "", "out of order")
        await world.control_plane.configure("a", wanted)
        await until_phase(world, "stopping")
        await asyncio.sleep(0.5)
        world.clock.jump(timedelta(hours=-1))
        world.control_plane.refusals.clear()
        await world.until(lambda: runs(world, "a", wanted), within=60)
