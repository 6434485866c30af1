"""What a simulated fleet comes to under a daemon, whatever happens, on virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from draas.model.configuration import digest
from draas.model.reconciliation import Phase
from draas.testing import virtual_time
from tests.unit.reconciliation.scenarios import kill_when, runs, simulated, starts
from tests.unit.reconciliation.simulation import World, configuration


@simulated
async def test_a_changed_configuration_is_applied_and_audited() -> None:
    world = World()
    await world.running("a", "b")
    async with world.daemon():
        changed = configuration(9090)
        await world.control_plane.configure("a", changed)
        await world.until(lambda: runs(world, "a", changed), within=5)
        await asyncio.sleep(1)
    story = await world.audit("a")
    assert [entry.outcome for entry in story] == ["started", "succeeded"]
    assert story[-1].action == "Reconciled using Restart strategy"
    assert story[-1].summary == ("Port: 8100 → 9090",)
    assert {entry.operation_id for entry in story} == {story[0].operation_id}
    assert "verify" in " ".join(story[0].plan)
    assert starts(world, "b") == 0, "nobody touched the other"
    assert (await world.store.verify_audit()).intact


@simulated
async def test_a_second_daemon_restarts_nothing() -> None:
    world = World()
    await world.running(*(f"i{n}" for n in range(20)))
    for _ in range(3):
        async with world.daemon():
            await asyncio.sleep(120)
    assert world.control_plane.log == []
    assert await world.audit() == []


@simulated
async def test_a_crash_is_healed_and_its_reason_named() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await asyncio.sleep(1)
        await world.control_plane.crash("a", "exit code 137")
        await world.until(lambda: runs(world, "a", configuration(8100)), within=10)
        await asyncio.sleep(1)
    story = await world.audit("a")
    assert story[-1].outcome == "succeeded"
    assert story[0].cause == "exit code 137"


@simulated
async def test_a_user_s_stop_is_kept_also_after_a_patch() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await world.control_plane.want("a", running=False)
        await world.control_plane.configure("a", configuration(9999))
        await asyncio.sleep(300)
    assert world.control_plane.log == []
    assert world.control_plane.servers["a"].status == "Stopped"


@simulated
async def test_a_created_instance_is_not_started() -> None:
    world = World()
    await world.control_plane.create("a", configuration())
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9999))
        await asyncio.sleep(300)
    assert world.control_plane.log == []


@simulated
async def test_a_server_changed_behind_our_back_is_healed() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await asyncio.sleep(1)
        await world.control_plane.tamper("a", {**configuration(8100), "queries": []})
        await world.until(lambda: starts(world, "a") == 1, within=10)
        await asyncio.sleep(1)
    assert (await world.audit("a"))[-1].drift_kinds == ("observed",)


@simulated
async def test_a_configuration_that_cannot_start_ends_with_the_last_good_one() -> None:
    world = World()
    await world.running("a")
    bad = configuration(1024)
    world.control_plane.failing[digest(bad)] = "port 1024 is in use"
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", bad)
        await world.until(lambda: runs(world, "a", configuration(8100)) and starts(world, "a") > 1)
        await asyncio.sleep(5)
        after = list(world.control_plane.log)
        await asyncio.sleep(5 * 33)
        assert world.control_plane.log == after, "no further restart in five cycles"
        assert daemon.fleet.memory("a").quarantine_of(digest(bad)) is not None
    story = await world.audit("a")
    assert [entry.outcome for entry in story] == ["started", "rolled-back"]
    assert story[-1].quarantined_digest == digest(bad)
    assert "port 1024 is in use" in story[-1].action


@simulated
async def test_a_configuration_that_comes_up_and_crashes_again_and_again_is_taken_back() -> None:
    world = World()
    await world.running("a")
    bad = configuration(9090)
    async with world.daemon() as daemon:
        await asyncio.sleep(1)
        await world.control_plane.configure("a", bad)
        for _ in range(600):
            await asyncio.sleep(1)
            if runs(world, "a", bad):
                await asyncio.sleep(3)
                await world.control_plane.crash("a", "exit code 1")
            if daemon.fleet.memory("a").quarantine_of(digest(bad)) is not None and runs(
                world, "a", configuration(8100)
            ):
                break
        restarts = starts(world, "a")
        await asyncio.sleep(300)
        assert runs(world, "a", configuration(8100))
        assert starts(world, "a") == restarts, "no flapping"
    story = await world.audit("a")
    condemned = [entry for entry in story if entry.quarantined_digest == digest(bad)]
    assert condemned and all("came up and ended again" in entry.error for entry in condemned)
    last = next(entry for entry in reversed(story) if entry.outcome == "succeeded")
    assert "back to the last good configuration" in last.cause


@simulated
async def test_a_good_configuration_that_is_killed_often_is_kept() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await asyncio.sleep(1)
        for _ in range(12):
            await world.until(lambda: runs(world, "a", configuration(8100)), within=2000)
            await asyncio.sleep(3)
            await world.control_plane.crash("a", "exit code -9")
        await world.until(lambda: runs(world, "a", configuration(8100)), within=2000)


@simulated
async def test_the_last_good_one_is_healed_too_while_the_desired_is_in_quarantine() -> None:
    world = World()
    await world.running("a")
    bad = configuration(1024)
    world.control_plane.failing[digest(bad)] = "port 1024 is in use"
    async with world.daemon():
        await world.control_plane.configure("a", bad)
        await world.until(lambda: starts(world, "a") == 2)
        await asyncio.sleep(5)
        await world.control_plane.crash("a")
        await world.until(lambda: runs(world, "a", configuration(8100)), within=10)


@simulated
async def test_a_reverted_bad_digest_is_refused_and_a_release_tries_it() -> None:
    world = World()
    await world.running("a")
    bad, good = configuration(1024), configuration(9090)
    world.control_plane.failing[digest(bad)] = "port 1024 is in use"
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", bad)
        await world.until(lambda: starts(world, "a") == 2)
        await world.control_plane.configure("a", good)
        await world.until(lambda: runs(world, "a", good))
        await asyncio.sleep(5)
        before = starts(world, "a")
        await world.control_plane.configure("a", bad)
        await asyncio.sleep(120)
        assert starts(world, "a") == before
        world.control_plane.failing.clear()
        assert daemon.reconciler is not None and daemon.workers is not None
        assert await daemon.by_hand.release("a", "somebody")
        await world.until(lambda: runs(world, "a", bad))
    assert "released" in [entry.outcome for entry in await world.audit("a")]


@simulated
async def test_bad_instances_do_not_delay_the_others() -> None:
    world = World()
    names = [f"i{n:02}" for n in range(20)]
    await world.running(*names)
    async with world.daemon():
        await asyncio.sleep(1)
        for number, name in enumerate(names):
            document = configuration(9100 + number)
            if number < 5:
                world.control_plane.failing[digest(document)] = "cannot start"
            await world.control_plane.configure(name, document)
        await world.until(
            lambda: all(runs(world, n, configuration(9105 + i)) for i, n in enumerate(names[5:])),
            within=25,
        )
        await asyncio.sleep(30)
        for number, name in enumerate(names[:5]):
            assert runs(world, name, configuration(8100 + number))


@simulated
async def test_an_outage_loses_no_change_and_is_never_in_sync() -> None:
    world = World()
    await world.running("a", "b")
    async with world.daemon() as daemon:
        await asyncio.sleep(40)
        world.control_plane.reachable = False
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(30)
        assert daemon.link.away_for() > 10
        assert await world.audit() == []
        world.control_plane.reachable = True
        await world.until(lambda: runs(world, "a", configuration(9090)), within=10)
        await asyncio.sleep(3)
        assert daemon.link.away_for() == 0
    assert [entry.outcome for entry in await world.audit()] == ["started", "succeeded"]


@simulated
async def test_an_outage_in_the_middle_is_no_failure_of_the_configuration() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: ("stop", "a") in world.control_plane.log)
        world.control_plane.reachable = False
        await asyncio.sleep(600)
        world.control_plane.reachable = True
        await world.until(lambda: runs(world, "a", configuration(9090)), within=10)
        await asyncio.sleep(2)
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "succeeded"]


IN_ONE_SLOT = (
    Phase.CHECKING,
    Phase.APPLYING,
    Phase.STOPPING,
    Phase.STARTING,
    Phase.VERIFYING,
    Phase.RESTORING,
    Phase.VERIFYING_RESTORED,
)


@pytest.mark.parametrize("phase", IN_ONE_SLOT)
def test_killed_in_any_phase_the_instance_comes_back(phase: Phase) -> None:
    async def scenario() -> None:
        hot = phase is Phase.APPLYING
        world = World(default_strategy="HotApply" if hot else "Restart")
        await world.running("a")
        wanted = configuration(8100, "MATCH (m) RETURN m") if hot else configuration(9090)
        if phase in (Phase.RESTORING, Phase.VERIFYING_RESTORED):
            world.control_plane.failing[digest(wanted)] = "cannot start"
        await world.control_plane.configure("a", wanted)

        def reached() -> bool:
            operation = world.store._operations.get("a")
            return operation is not None and operation.phase is phase

        seen = await kill_when(world, reached)
        async with world.daemon():
            expected = configuration(8100) if world.control_plane.failing else wanted
            await world.until(lambda: runs(world, "a", expected), within=10)
            await asyncio.sleep(10)
            assert runs(world, "a", expected)
        assert seen, f"the operation never stood at {phase}"
        assert (await world.store.verify_audit()).intact

    virtual_time.run(scenario())


@simulated
async def test_a_lost_store_in_the_middle_leaves_nobody_down() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: ("stop", "a") in world.control_plane.log)
        world.store.broken = True
        await world.until(lambda: runs(world, "a", configuration(9090)), within=10)
        await asyncio.sleep(60)
        world.store.broken = False
        await asyncio.sleep(30)
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "succeeded"]


@simulated
async def test_a_newer_configuration_replaces_the_one_in_flight() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: ("stop", "a") in world.control_plane.log)
        await world.control_plane.configure("a", configuration(9091))
        await world.until(lambda: runs(world, "a", configuration(9091)), within=10)
        await asyncio.sleep(10)
    assert starts(world, "a") == 1, "the outdated one was never started"


@simulated
async def test_two_writers_that_undo_each_other_are_slowed_down() -> None:
    world = World()
    await world.running("a")
    async with world.daemon():
        for _ in range(100):
            if world.control_plane.servers["a"].running is not None:
                await world.control_plane.tamper("a", {**configuration(8100), "queries": []})
            await asyncio.sleep(6)
    assert 5 <= starts(world, "a") <= 12


@pytest.mark.parametrize(
    ("switches", "healed"),
    [
        pytest.param({}, True, id="both"),
        pytest.param({"enable_auto_reconciliation": False}, True, id="events only"),
        pytest.param({"polling_interval": timedelta()}, True, id="interval zero"),
        pytest.param({"enable_event_driven_reconciliation": False}, True, id="periodic only"),
        pytest.param(
            {"enable_event_driven_reconciliation": False, "enable_auto_reconciliation": False},
            False,
            id="by hand only",
        ),
    ],
)
def test_the_loops_are_independent(switches: dict[str, Any], healed: bool) -> None:
    async def scenario() -> None:
        world = World(**switches)
        await world.running("a")
        async with world.daemon():
            await asyncio.sleep(1)
            await world.control_plane.configure("a", configuration(9090))
            await asyncio.sleep(60)
            assert runs(world, "a", configuration(9090)) is healed

    virtual_time.run(scenario())


@simulated
async def test_an_error_instance_is_left_alone_if_told_so() -> None:
    world = World(reconcile_error_instances=False)
    await world.running("a")
    async with world.daemon():
        await asyncio.sleep(1)
        await world.control_plane.crash("a")
        await asyncio.sleep(120)
    assert world.control_plane.log == []
    held = await world.audit("a")
    assert [entry.outcome for entry in held] == ["held"], "said once, not once a cycle"
    assert "ReconcileErrorInstances" in held[0].action
    assert (held[0].drift_detected, held[0].drift_kinds) == (True, ("run-state",))
    assert (held[0].trigger, held[0].actor) == ("change", "reconciliation-daemon")


@simulated
async def test_a_deleted_instance_is_forgotten() -> None:
    world = World()
    await world.running("a")
    async with world.daemon() as daemon:
        await asyncio.sleep(1)
        await world.control_plane.delete("a")
        await asyncio.sleep(2)
        assert "a" not in daemon.fleet.states
    [gone] = await world.audit("a")
    assert (gone.outcome, gone.trigger, gone.actor) == ("gone", "change", "reconciliation-daemon")
