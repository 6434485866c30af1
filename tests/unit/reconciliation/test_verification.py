"""Verifications that cannot be judged, and how many instances are disrupted at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from draas.decide.health import Probed
from draas.model.configuration import digest
from draas.model.reconciliation import Approval, Trigger
from draas.model.slots import Slot
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.outside import Outside
from draas.reconciliation.request import Request
from draas.testing import virtual_time
from tests.unit.reconciliation.scenarios import runs, simulated, starts
from tests.unit.reconciliation.simulation import World, configuration


@simulated
async def test_what_nobody_can_tell_is_held_and_neither_passed_nor_taken_back() -> None:
    world = World()
    await world.running("a")
    obscure = configuration(9090)
    world.control_plane.obscure.add(digest(obscure))
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", obscure)
        await asyncio.sleep(300)
        assert runs(world, "a", obscure), "nothing is known to be wrong with it"
        assert [entry.outcome for entry in await world.audit("a")] == ["started", "held"]
        assert "words of its own" in daemon.fleet.plans["a"].reason
        world.control_plane.obscure.clear()
        await world.control_plane.look("a")
        await asyncio.sleep(10)
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "held", "succeeded"]
    assert starts(world, "a") == 1


@simulated
async def test_what_turns_out_bad_after_being_held_is_taken_back() -> None:
    world = World()
    await world.running("a")
    obscure = configuration(9090)
    world.control_plane.obscure.add(digest(obscure))
    async with world.daemon():
        await world.control_plane.configure("a", obscure)
        await asyncio.sleep(60)
        world.control_plane.obscure.clear()
        world.control_plane.sick.add(digest(obscure))
        await world.control_plane.look("a")
        await asyncio.sleep(10)
    assert (await world.audit("a"))[-1].outcome == "rolled-back"
    assert runs(world, "a", configuration(8100))


@simulated
async def test_what_was_approved_and_cannot_be_judged_gives_way_to_what_is_newer() -> None:
    world = World(default_strategy="Manual")
    await world.running("a")
    obscure, newer = configuration(9090), configuration(9091)
    world.control_plane.obscure.add(digest(obscure))

    async def approve(daemon: Daemon) -> None:
        await world.until(lambda: "a" in daemon.fleet.plans and not daemon.journal.open)
        now = world.clock.now()
        plan = daemon.fleet.plans["a"].digest
        until = now + timedelta(hours=1)
        agreed = Approval(plan_digest=plan, granted=True, actor="olga", at=now, until=until)
        await daemon.by_hand.judge("a", agreed)
        assert daemon.workers is not None
        daemon.workers.ask("a", Request(Trigger.MANUAL, "olga"))

    async with world.daemon() as daemon:
        await asyncio.sleep(1)
        await world.control_plane.configure("a", obscure)
        await approve(daemon)
        await world.until(lambda: runs(world, "a", obscure))
        await asyncio.sleep(60)
        await world.control_plane.configure("a", newer)
        await world.until(lambda: not daemon.journal.open)
        await asyncio.sleep(60)
        assert runs(world, "a", obscure), "what is newer was not approved"
        await approve(daemon)
        await world.until(lambda: runs(world, "a", newer))
    told = [entry.outcome for entry in await world.audit("a")]
    assert told.count("superseded") == 1


@simulated
async def test_no_more_than_the_budget_are_disrupted_at_once() -> None:
    world = World(max_concurrent_reconciliations=3)
    names = [f"i{number}" for number in range(9)]
    await world.running(*names)
    down: list[int] = []
    async with world.daemon() as daemon:
        await asyncio.sleep(1)
        for number, name in enumerate(names):
            await world.control_plane.configure(name, configuration(9090 + number))
        await world.until(lambda: bool(daemon.journal.open))
        while daemon.fleet.drifting_with() or daemon.journal.open:
            servers = world.control_plane.servers.values()
            down.append(sum(each.status != "Running" for each in servers))
            await asyncio.sleep(0.1)
    assert max(down) == 3
    assert all(starts(world, name) == 1 for name in names)


@simulated
async def test_auto_changes_in_place_what_it_can_and_says_why_it_could_not() -> None:
    world = World(default_strategy="auto")
    await world.running("a")
    hot, cold = configuration(8100, "MATCH (m) RETURN m"), configuration(9090)
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", hot)
        await world.until(lambda: runs(world, "a", hot))
        assert starts(world, "a") == 0
        await world.control_plane.configure("a", cold)
        await world.until(lambda: runs(world, "a", cold))
        await world.until(lambda: not daemon.journal.open)
    story = [(entry.outcome, entry.strategy) for entry in await world.audit("a")]
    assert story == [
        ("started", "HotApply"),
        ("succeeded", "HotApply"),
        ("started", "Restart"),
        ("succeeded", "Restart"),
    ]
    assert (await world.audit("a"))[-1].plan[0] == (
        "Restart: settings of the server differ (port) and two slots are not possible: "
        "there is no router"
    )


@simulated
async def test_what_cannot_be_changed_in_place_is_restarted_and_taken_back_if_it_is_bad() -> None:
    world = World(default_strategy="HotApply")
    await world.running("a")
    bad = configuration(8100, "MATCH (bad) RETURN bad")
    world.control_plane.failing[digest(bad)] = "no such label"
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", bad)
        await world.until(lambda: world.control_plane.servers["a"].starts > 1)
        await asyncio.sleep(30)
        assert daemon.fleet.memory("a").quarantine_of(digest(bad)) is not None
    assert runs(world, "a", configuration(8100))
    assert (await world.audit("a"))[-1].outcome == "rolled-back"


@pytest.mark.parametrize("strategy", ["Restart", "HotApply"])
def test_the_five_checks_are_made_before_and_after_in_one_slot_too(strategy: str) -> None:
    """The control plane calls it healthy; the server itself has a query that fails (R-135)."""
    bad = configuration(8100, "MATCH (m) RETURN m")

    async def scenario() -> None:
        world = World(default_strategy=strategy)

        async def ask(instance_id: str, slot: Slot) -> Probed:
            status = "Error" if slot.digest == digest(bad) else "Running"
            return Probed(True, True, sources={"s": "Running"}, queries={"q": status})

        world.outside = Outside(probe=ask)
        await world.running("a")
        async with world.daemon():
            await world.control_plane.configure("a", bad)
            await asyncio.sleep(120)
        _, ended = await world.audit("a")
        assert (ended.outcome, ended.health_before) == ("rolled-back", "Healthy")
        assert ended.error == "query engine responsive: query 'q' is Error"
        assert runs(world, "a", configuration(8100))

    virtual_time.run(scenario())


@simulated
async def test_a_server_that_only_the_control_plane_reaches_is_taken_at_its_word() -> None:
    async def ask(instance_id: str, slot: Slot) -> Probed:
        return Probed(False, None, "refused")

    world = World(outside=Outside(probe=ask))
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: runs(world, "a", configuration(9090)))
        await asyncio.sleep(2)
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "succeeded"]


@simulated
async def test_what_the_checks_find_before_is_in_the_audit() -> None:
    old = configuration(8100)

    async def ask(instance_id: str, slot: Slot) -> Probed:
        return Probed(True, slot.digest != digest(old), "/health answers 500", {}, {})

    world = World(outside=Outside(probe=ask))
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(10)
    ended = (await world.audit("a"))[-1]
    assert (ended.outcome, ended.health_before) == ("succeeded", "Unhealthy")


@simulated
async def test_a_restart_is_repaired_only_after_its_stabilisation_period() -> None:
    """A check that fails meanwhile begins the period anew."""
    asked: list[float] = []
    world = World()

    async def ask(instance_id: str, slot: Slot) -> Probed:
        asked.append(world.clock.monotonic())
        since = asked[-1] - asked[0]
        return Probed(True, not 8 <= since <= 9, "/health answers 500", {}, {})

    world.outside = Outside(probe=ask)
    health = replace(world.settings.health, stabilization_period=timedelta(seconds=10))
    world.settings = replace(world.settings, health=health)
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(60)
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "succeeded"]
    assert asked[-1] - asked[0] >= 19


@simulated
async def test_what_was_healthy_once_and_fails_in_its_stabilisation_period_is_taken_back() -> None:
    """The control plane praised it by then: what ran before is the way back (R-137)."""
    bad, looks = configuration(9090), 0
    world = World()

    async def ask(instance_id: str, slot: Slot) -> Probed:
        nonlocal looks
        looks += slot.digest == digest(bad)
        return Probed(True, looks < 4 or slot.digest != digest(bad), "", {}, {})

    world.outside = Outside(probe=ask)
    health = replace(world.settings.health, stabilization_period=timedelta(seconds=10))
    world.settings = replace(world.settings, health=health)
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", bad)
        await asyncio.sleep(180)
        assert runs(world, "a", configuration(8100))
        assert daemon.fleet.memory("a").quarantine_of(digest(bad))
    assert [entry.outcome for entry in await world.audit("a")] == ["started", "rolled-back"]


@simulated
async def test_what_somebody_alters_in_its_stabilisation_period_is_not_blamed() -> None:
    world = World()
    health = replace(world.settings.health, stabilization_period=timedelta(seconds=10))
    world.settings = replace(world.settings, health=health)
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", configuration(9090))
        await world.until(lambda: runs(world, "a", configuration(9090)))
        await asyncio.sleep(2)
        await world.control_plane.tamper("a", {**configuration(9090), "queries": []})
        await asyncio.sleep(120)
        assert runs(world, "a", configuration(9090))
        assert daemon.fleet.memory("a").quarantines == ()
    assert [entry.outcome for entry in await world.audit("a")][-1] == "succeeded"
