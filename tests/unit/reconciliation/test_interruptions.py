"""What happens to a repair when the world changes in the middle of it, on virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from draas.client.port import RefusedError
from draas.model.configuration import digest
from draas.testing import virtual_time
from tests.unit.reconciliation.scenarios import runs, simulated, starts
from tests.unit.reconciliation.simulation import World, configuration

BAD = configuration(1024)


async def until_phase(world: World, phase: str) -> None:
    await world.until(
        lambda: any(each.phase == phase for each in world.store._operations.values()), within=30
    )


@simulated
async def test_stopped_by_its_user_between_stop_and_start_it_stays_down() -> None:
    world = World()
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", configuration(9090))
        await until_phase(world, "starting")
        await world.control_plane.want("a", running=False)
        await asyncio.sleep(120)
        assert daemon.journal.open == {}
    assert starts(world, "a") == 0
    assert world.control_plane.servers["a"].status == "Stopped"
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "superseded"]


@simulated
async def test_stopped_by_its_user_while_it_is_verified_it_stays_down() -> None:
    world = World()
    await world.running("a")
    unhealthy = configuration(9090)
    world.control_plane.sick.add(digest(unhealthy))
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", unhealthy)
        await until_phase(world, "verifying")
        await world.control_plane.want("a", running=False)
        await asyncio.sleep(120)
        assert daemon.fleet.memory("a").quarantines == (), "nothing was found out about it"
    assert starts(world, "a") == 1
    assert world.control_plane.servers["a"].running is None


@simulated
async def test_a_stop_that_came_just_before_the_start_is_kept() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: world.control_plane.begun == ["a"])
        world.control_plane.servers["a"].wanted = False
        await asyncio.sleep(60)
    assert world.control_plane.servers["a"].running is None


@simulated
async def test_killed_while_it_is_verified_it_is_started_again_and_nothing_is_blamed() -> None:
    world = World()
    await world.running("a")
    world.control_plane.look_seconds = 2
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", configuration(9090))
        await until_phase(world, "verifying")
        await world.control_plane.crash("a")
        await world.until(lambda: runs(world, "a", configuration(9090)), within=5)
        await asyncio.sleep(20)
        assert daemon.fleet.memory("a").quarantines == ()
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "succeeded"]


@simulated
async def test_a_newer_configuration_does_not_wait_for_a_sick_one() -> None:
    world = World()
    await world.running("a")
    sick, good = configuration(9090), configuration(9091)
    world.control_plane.sick.add(digest(sick))
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", sick)
        await until_phase(world, "verifying")
        await world.control_plane.configure("a", good)
        await world.until(lambda: runs(world, "a", good), within=6)
        await asyncio.sleep(5)
        assert daemon.journal.open == {}
    end = (await world.audit("a"))[-1]
    assert (end.outcome, end.digest_after) == ("succeeded", digest(good))
    assert end.summary == ("Port: 8100 → 9091",), "the audit tells what was really done"


@pytest.mark.parametrize("generations", [1, 2])
def test_an_operation_does_not_go_on_with_another_instance_of_the_same_id(
    generations: int,
) -> None:
    virtual_time.run(_given_again(generations))


async def _given_again(generations: int) -> None:
    """Its configuration is that of the generation that the operation aims at, or of an older."""
    world = World()
    await world.running("a")
    world.control_plane.look_seconds = 5
    await world.control_plane.configure("a", configuration(9090))
    await world.killed_daemon(
        lambda: any(each.phase == "verifying" for each in world.store._operations.values())
    )
    await world.control_plane.delete("a")
    fresh = configuration(9091)
    await world.control_plane.create("a", fresh if generations == 1 else configuration(9092))
    await world.control_plane.want("a", running=True)
    if generations == 2:
        await world.control_plane.configure("a", fresh)
    async with world.daemon() as daemon:
        await asyncio.sleep(60)
        assert daemon.fleet.memory("a").quarantines == ()
        assert daemon.journal.open == {}
        assert runs(world, "a", fresh)
    told = [entry.outcome for entry in await world.audit("a")]
    assert told[told.index("superseded") :][:2] == ["superseded", "gone"]


@simulated
async def test_an_instance_deleted_while_it_is_verified_is_let_go_at_once() -> None:
    world = World()
    await world.running("a")
    sick = configuration(9090)
    world.control_plane.sick.add(digest(sick))
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", sick)
        await until_phase(world, "verifying")
        await world.control_plane.delete("a")
        await asyncio.sleep(3)
        assert (daemon.journal.open, daemon.fleet.states) == ({}, {})
    assert world.store._memories == {}
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "superseded", "gone"]


@simulated
async def test_a_recreated_id_does_not_meet_an_old_quarantine() -> None:
    world = World()
    await world.running("a")
    world.control_plane.failing[digest(BAD)] = "port 1024 is in use"
    async with world.daemon():
        await world.control_plane.configure("a", BAD)
        await world.until(lambda: starts(world, "a") == 2)
        await asyncio.sleep(5)
        world.control_plane.failing.clear()
        await world.control_plane.delete("a")
        await world.control_plane.create("a", BAD)
        await world.control_plane.want("a", running=True)
        await asyncio.sleep(60)
    assert runs(world, "a", BAD)
    assert world.store._memories == {}


@simulated
async def test_an_id_recreated_while_no_daemon_ran_does_not_meet_an_old_quarantine() -> None:
    world = World()
    await world.running("a", "b")
    world.control_plane.failing[digest(BAD)] = "port 1024 is in use"
    async with world.daemon():
        for name in ("a", "b"):
            await world.control_plane.configure(name, BAD)
            await world.until(lambda: starts(world, name) == 2)  # noqa: B023 - awaited in place
        await asyncio.sleep(5)
    world.control_plane.failing.clear()
    await world.control_plane.delete("a")
    await world.control_plane.delete("b")
    await world.control_plane.create("a", BAD)
    await world.control_plane.want("a", running=True)
    async with world.daemon():
        await asyncio.sleep(60)
    assert runs(world, "a", BAD)
    assert world.store._memories == {}, "what is gone is forgotten, also b"


@simulated
async def test_a_busy_instance_is_no_bad_configuration() -> None:
    world = World()
    await world.running("a")
    wanted = configuration(9090)
    async with world.daemon() as daemon:
        busy = RefusedError(409, "instance-busy", "a restart is under way")
        world.control_plane.refusals["a"] = busy
        await world.control_plane.configure("a", wanted)
        await asyncio.sleep(120)
        assert runs(world, "a", configuration(8100)), "what runs was left alone"
        world.control_plane.refusals.clear()
        await world.until(lambda: runs(world, "a", wanted), within=120)
        assert daemon.fleet.memory("a").quarantines == ()


@simulated
async def test_a_way_back_that_is_refused_for_ever_has_an_end_and_a_newer_one_is_tried() -> None:
    world = World(reconciliation_timeout=timedelta(minutes=1))
    await world.running("a")
    world.control_plane.failing[digest(BAD)] = "port 1024 is in use"
    good = configuration(9090)
    async with world.daemon():
        await world.control_plane.configure("a", BAD)
        await world.until(lambda: world.control_plane.begun == ["a"])
        world.control_plane.refusals["a"] = RefusedError(503, "", "out of order")
        await world.until(lambda: world.store._operations == {}, within=180)
        assert (await world.audit("a"))[1].outcome == "failed"
        await world.control_plane.configure("a", good)
        world.control_plane.refusals.clear()
        await world.until(lambda: runs(world, "a", good), within=60)


@simulated
async def test_what_runs_something_else_by_now_is_stopped_and_not_blamed() -> None:
    world = World()
    await world.running("a")
    wanted = configuration(9090)
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", wanted)
        await until_phase(world, "starting")
        server = world.control_plane.servers["a"]
        world.control_plane._run("a", server, configuration(8100))
        await world.until(lambda: runs(world, "a", wanted), within=60)
        assert daemon.fleet.memory("a").quarantines == ()


@simulated
async def test_resumed_before_it_began_it_restarts_nothing_that_is_in_order() -> None:
    world = World()
    await world.running("a")
    await world.control_plane.configure("a", configuration(9090))
    await world.killed_daemon(lambda: bool(world.store._operations))
    (operation,) = world.store._operations.values()
    world.store._operations["a"] = replace(operation, phase="checking")  # type: ignore[arg-type]
    world.control_plane.log.clear()
    await world.control_plane.want("a", running=True)
    async with world.daemon():
        await asyncio.sleep(60)
    assert world.control_plane.log == []


@simulated
async def test_a_crash_loop_is_slowed_down_and_never_hurries_again() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        for _ in range(3 * 3600):
            await asyncio.sleep(1)
            if world.control_plane.servers["a"].running is not None:
                await world.control_plane.crash("a", "exit code 1")
    assert starts(world, "a") <= 5 + 7 + 3 * 6, "five free ones, then ever slower up to 15 minutes"
    assert len(await world.audit("a")) == 2 * starts(world, "a")


@simulated
async def test_a_second_crash_that_is_skipped_is_told_again() -> None:
    world = World(reconcile_error_instances=False)
    await world.running("a")
    async with world.daemon():
        for _ in range(2):
            await world.control_plane.crash("a")
            await asyncio.sleep(60)
            await world.control_plane.want("a", running=True)
            await asyncio.sleep(60)
    assert [entry.outcome for entry in await world.audit("a")] == ["held", "held"]


@simulated
async def test_held_is_told_once_also_by_later_daemons() -> None:
    world = World(reconcile_error_instances=False)
    await world.running("a")
    await world.control_plane.crash("a")
    for _ in range(3):
        async with world.daemon():
            await asyncio.sleep(60)
    assert [entry.outcome for entry in await world.audit("a")] == ["held"]


def small_breaker(world: World) -> None:
    breaker = replace(world.settings.breaker, minimum_failing=2, hold_time=timedelta(minutes=5))
    world.settings = replace(world.settings, breaker=breaker)


@simulated
async def test_the_breaker_does_not_hold_the_remedy() -> None:
    world = World()
    small_breaker(world)
    await world.running("a", "b", "c")
    async with world.daemon() as daemon:
        for number, name in enumerate("ab"):
            document = configuration(1024 + number)
            world.control_plane.failing[digest(document)] = "cannot start"
            await world.control_plane.configure(name, document)
        await world.until(lambda: daemon.breaker.state.open_since is not None)
        for number, name in enumerate("ab"):
            await world.control_plane.configure(name, configuration(9090 + number))
        await world.until(
            lambda: all(runs(world, n, configuration(9090 + i)) for i, n in enumerate("ab")),
            within=400,
        )


@simulated
async def test_what_the_breaker_held_goes_on_when_it_closes_without_the_periodic_check() -> None:
    world = World(enable_auto_reconciliation=False)
    small_breaker(world)
    await world.running("a", "b", "c")
    async with world.daemon() as daemon:
        for number, name in enumerate("ab"):
            document = configuration(1024 + number)
            world.control_plane.failing[digest(document)] = "cannot start"
            await world.control_plane.configure(name, document)
        await world.until(lambda: daemon.breaker.state.open_since is not None)
        await world.control_plane.configure("c", configuration(9090))
        await asyncio.sleep(30)
        assert not runs(world, "c", configuration(9090)), "held"
        for name in "ab":
            await world.control_plane.delete(name)
        await world.until(lambda: runs(world, "c", configuration(9090)), within=400)


def test_a_clock_that_jumps_back_delays_nothing() -> None:
    async def scenario() -> None:
        world = World()
        await world.running("a")
        world.control_plane.failing[digest(BAD)] = "port 1024 is in use"
        world.control_plane.servers["a"].good = None
        async with world.daemon():
            await world.control_plane.configure("a", BAD)
            await world.until(lambda: world.store._operations == {} and starts(world, "a") == 1)
            world.clock.jump(timedelta(hours=-1))
            world.control_plane.failing.clear()
            await world.until(lambda: runs(world, "a", BAD), within=60)

    virtual_time.run(scenario())


@simulated
async def test_without_audit_everything_else_goes_on() -> None:
    world = World(enable_audit_logging=False)
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: runs(world, "a", configuration(9090)), within=6)
        await asyncio.sleep(5)
    assert await world.audit() == []
    assert (await world.store.verify_audit()).intact
