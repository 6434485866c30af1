"""RollingUpdate, BlueGreen and Canary by the real daemon, on virtual time and simulated traffic."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from draas.client.port import Order, RefusedError
from draas.model.audit import AuditEntry
from draas.model.configuration import digest
from draas.model.reconciliation import Operation, Phase, Trigger, Wish
from draas.model.slots import Loss
from draas.reconciliation.by_hand import NotNowError
from draas.reconciliation.outside import Outside
from draas.reconciliation.request import Request
from draas.testing import virtual_time
from draas.testing.simulated_traffic import Manners
from tests.unit.reconciliation.scenarios import kill_when, runs, simulated
from tests.unit.reconciliation.simulation import World, configuration

OLD, NEW, NEWER = configuration(8100), configuration(9090), configuration(9091)
STRATEGIES = ("RollingUpdate", "BlueGreen", "Canary")
FORWARD = {
    "RollingUpdate": "opening proving switching verifying closing",
    "BlueGreen": "opening proving testing switching verifying soaking closing",
    "Canary": "opening proving shifting analysing switching verifying closing",
}


def two_slots(strategy: str, rate: float = 300.0, outside: Outside | None = None) -> World:
    world = World(default_strategy=strategy, outside=outside or Outside())
    world.control_plane.router = "simulated"
    world.control_plane.rates["a"] = rate
    return world


def operation(world: World) -> Operation | None:
    return world.store._operations.get("a")


def stands_at(world: World, phase: str) -> bool:
    found = operation(world)
    return found is not None and found.phase == phase


def at_step(world: World, step: int) -> bool:
    found = operation(world)
    return found is not None and found.step == step and found.phase is Phase.ANALYSING


def serves_alone(world: World, document: dict[str, Any]) -> bool:
    mine = world.control_plane.slotted.get("a")
    alone = mine is None or mine.spare is None
    return runs(world, "a", document) and alone and world.store._operations == {}


async def outcomes(world: World) -> list[str]:
    return [entry.outcome for entry in await world.audit("a")]


def stops(world: World) -> int:
    return sum(1 for kind, _ in world.control_plane.log if kind in ("stop", "start"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_new_configuration_serves_and_nothing_was_ever_stopped(strategy: str) -> None:
    async def scenario() -> None:
        world = two_slots(strategy)
        await world.running("a")
        async with world.daemon():
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: serves_alone(world, NEW), within=900)
        entries = await world.audit("a")
        assert [each.outcome for each in entries] == ["started", "succeeded"]
        assert stops(world) == 0
        events = await world.store.operation_events(entries[0].operation_id or "")
        phases = list(dict.fromkeys(each.phase for each in events))
        assert phases == ["checking", *FORWARD[strategy].split(), "finished"]
        assert [each.phase for each in events].count("finished") == 1

    virtual_time.run(scenario())


BAD = {
    "five percent of errors": Manners(errors=0.05),
    "three times slower": Manners(latency=60.0),
    "dies at ten percent": Manners(dies_at=10),
}


@pytest.mark.parametrize("manners", BAD.values(), ids=BAD.keys())
def test_a_bad_canary_is_taken_back_and_quarantined(manners: Manners) -> None:
    async def scenario() -> None:
        world = two_slots("Canary")
        await world.running("a")
        world.control_plane.manners[digest(NEW)] = manners
        async with world.daemon() as daemon:
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: bool(daemon.fleet.memory("a").quarantines), within=300)
            assert serves_alone(world, OLD)
            await asyncio.sleep(300)
        assert serves_alone(world, OLD), "what failed is not tried again"
        assert await outcomes(world) == ["started", "rolled-back"]
        assert stops(world) == 0

    virtual_time.run(scenario())


@simulated
async def test_a_canary_with_other_rows_gets_no_traffic() -> None:
    world = two_slots("Canary")
    await world.running("a")
    world.control_plane.other_rows.add(digest(NEW))
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: bool(world.store._memories.get("a")), within=300)
    end = (await world.audit("a"))[1]
    assert (end.outcome, serves_alone(world, OLD)) == ("rolled-back", True)
    assert ("weigh", "a") not in world.control_plane.log
    assert "query 'q' gives other rows" in end.error
    row = {"path": "queries[q].results", "actual": None, "desired": {"n": 1}, "kind": "added"}
    assert row in end.differences


@simulated
async def test_a_canary_whose_rows_part_later_is_taken_back() -> None:
    world = two_slots("Canary")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "analysing"), within=60)
        world.control_plane.other_rows.add(digest(NEW))
        await world.until(lambda: serves_alone(world, OLD), within=120)
    assert (await outcomes(world))[1] == "rolled-back"


@simulated
async def test_a_candidate_that_changes_do_not_reach_is_taken_back() -> None:
    world = two_slots("Canary")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "analysing"), within=60)
        second = world.control_plane.slotted["a"].hosts["second"]
        second.error = "the leader no longer has the changes after 7"
        await world.until(lambda: serves_alone(world, OLD), within=120)
    end = (await world.audit("a"))[1]
    assert end.outcome == "rolled-back"
    assert "does not follow: the leader no longer has the changes after 7" in end.error


@simulated
async def test_a_canary_without_traffic_is_held_and_goes_on_with_it() -> None:
    world = two_slots("Canary", rate=0.0)
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        await asyncio.sleep(3600)
        assert stands_at(world, "analysing")
        assert await outcomes(world) == ["started", "held"]
        assert "not enough data: 0 of 50" in daemon.fleet.plans["a"].reason
        world.control_plane.rates["a"] = 300.0
        await world.until(lambda: serves_alone(world, NEW), within=600)
    assert await outcomes(world) == ["started", "held", "succeeded"]


@simulated
async def test_slow_traffic_is_waited_for_and_not_held() -> None:
    world = two_slots("Canary", rate=3.0)
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: serves_alone(world, NEW), within=4 * 3600)
    assert await outcomes(world) == ["started", "succeeded"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_cannot_start_or_is_sick_never_touches_what_serves(strategy: str) -> None:
    async def scenario(kind: str) -> None:
        world = two_slots(strategy)
        await world.running("a")
        if kind == "failing":
            world.control_plane.failing[digest(NEW)] = "port in use"
        else:
            world.control_plane.sick.add(digest(NEW))
        async with world.daemon() as daemon:
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: bool(daemon.fleet.memory("a").quarantines), within=300)
        assert serves_alone(world, OLD)
        assert (await outcomes(world))[:2] == ["started", "rolled-back"]
        assert {kind for kind, _ in world.control_plane.log} <= {"open", "close"}

    for kind in ("failing", "sick"):
        virtual_time.run(scenario(kind))


@simulated
async def test_what_dies_in_its_soak_is_replaced_by_the_old_slot_at_once() -> None:
    world = two_slots("BlueGreen")
    await world.running("a")
    world.control_plane.dying[digest(NEW)] = 60.0
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "soaking"), within=60)
        assert runs(world, "a", NEW)
        await world.until(lambda: world.control_plane.servers["a"].running is None, within=120)
        await world.until(lambda: runs(world, "a", OLD), within=2)
        await asyncio.sleep(120)
        assert daemon.fleet.memory("a").quarantine_of(digest(NEW)) is not None
    assert serves_alone(world, OLD)
    assert stops(world) == 0


@simulated
async def test_what_somebody_alters_in_its_soak_is_taken_back_and_tried_again() -> None:
    world = two_slots("BlueGreen")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "soaking"), within=60)
        await world.control_plane.tamper("a", {**NEW, "queries": []})
        await world.until(lambda: serves_alone(world, NEW), within=1200)
    assert await outcomes(world) == ["started", "rolled-back", "started", "succeeded"]
    assert "does not run what it was started with" in (await world.audit("a"))[1].error
    assert (await world.store.memories())["a"].quarantines == ()


@simulated
async def test_a_failed_smoke_test_keeps_the_candidate_from_serving() -> None:
    async def failing(instance_id: str, slot: object) -> tuple[str, ...]:
        return ("ready: answered 503 instead of 200",)

    world = two_slots("BlueGreen", outside=Outside(smoke_test=failing))
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: bool(world.store._memories.get("a")), within=120)
    end = (await world.audit("a"))[1]
    assert (end.outcome, end.error) == ("rolled-back", "ready: answered 503 instead of 200")
    assert ("switch", "a") not in world.control_plane.log
    assert serves_alone(world, OLD)


@pytest.mark.parametrize(
    ("strategy", "phase"),
    [(name, phase) for name, phases in FORWARD.items() for phase in ("checking", *phases.split())],
)
def test_killed_in_any_phase_it_is_carried_on_to_its_end(strategy: str, phase: str) -> None:
    async def scenario() -> None:
        world = two_slots(strategy)
        await world.running("a")
        await world.control_plane.configure("a", NEW)
        assert await kill_when(world, lambda: stands_at(world, phase))
        async with world.daemon():
            await world.until(lambda: serves_alone(world, NEW), within=900)
        assert await outcomes(world) == ["started", "succeeded"]
        assert stops(world) == 0

    virtual_time.run(scenario())


@pytest.mark.parametrize("phase", ["taking-back", "closing-candidate", "verifying-restored"])
def test_killed_on_the_way_back_it_goes_back(phase: str) -> None:
    async def scenario() -> None:
        world = two_slots("Canary")
        await world.running("a")
        world.control_plane.manners[digest(NEW)] = Manners(errors=0.2)
        await world.control_plane.configure("a", NEW)
        assert await kill_when(world, lambda: stands_at(world, phase))
        async with world.daemon():
            await world.until(lambda: serves_alone(world, OLD), within=300)
        assert (await outcomes(world))[:2] == ["started", "rolled-back"]

    virtual_time.run(scenario())


@pytest.mark.parametrize("phase", ["opening", "proving", "analysing"])
def test_a_newer_configuration_takes_the_place_of_a_candidate_and_blames_nobody(phase: str) -> None:
    async def scenario() -> None:
        world = two_slots("Canary")
        await world.running("a")
        async with world.daemon() as daemon:
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: stands_at(world, phase), within=60)
            await world.control_plane.configure("a", NEWER)
            await world.until(lambda: serves_alone(world, NEWER), within=600)
            assert daemon.fleet.memory("a").quarantines == ()
        assert await outcomes(world) == ["started", "succeeded"]

    virtual_time.run(scenario())


@simulated
async def test_back_and_forth_between_two_targets_each_is_really_opened() -> None:
    world = two_slots("Canary")
    await world.running("a")

    def is_judged(document: dict[str, Any]) -> bool:
        found = operation(world)
        same = found is not None and found.target_digest == digest(document)
        return same and stands_at(world, "analysing")

    async with world.daemon():
        for document in (NEW, NEWER, NEW):
            await world.control_plane.configure("a", document)
            await world.until(partial(is_judged, document), within=60)
        await world.until(lambda: serves_alone(world, NEW), within=600)


@simulated
async def test_newer_than_what_soaks_ends_the_soak() -> None:
    world = two_slots("BlueGreen")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "soaking"), within=60)
        await world.control_plane.configure("a", NEWER)
        await world.until(lambda: serves_alone(world, NEWER), within=600)
    assert await outcomes(world) == ["started", "superseded", "started", "succeeded"]


@pytest.mark.parametrize("phase", ["opening", "proving", "analysing", "soaking"])
@pytest.mark.parametrize("end", ["stop", "delete"])
def test_its_users_stop_and_its_deletion_end_every_slot(phase: str, end: str) -> None:
    async def scenario() -> None:
        world = two_slots("BlueGreen" if phase == "soaking" else "Canary")
        await world.running("a")
        async with world.daemon() as daemon:
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: stands_at(world, phase), within=60)
            while True:
                with contextlib.suppress(RefusedError):
                    if end == "stop":
                        await world.control_plane.want("a", running=False)
                    else:
                        await world.control_plane.delete("a")
                    break
                await asyncio.sleep(0.1)
            await asyncio.sleep(60)
            assert daemon.journal.open == {}
        assert "superseded" in await outcomes(world)
        if end == "stop":
            assert world.control_plane.servers["a"].running is None
            mine = world.control_plane.slotted.get("a")
            assert mine is None or mine.spare is None

    virtual_time.run(scenario())


@simulated
async def test_what_ends_beside_its_candidate_is_restarted_with_the_target() -> None:
    world = two_slots("Canary", rate=0.0)
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "analysing"), within=60)
        await world.control_plane.crash("a")
        await world.until(lambda: serves_alone(world, NEW), within=60)
    end = (await world.audit("a"))[-1]
    assert (end.outcome, end.strategy) == ("succeeded", "Restart")
    assert "Canary could not: it does not run" in end.action


@simulated
async def test_what_does_not_run_is_started_and_not_by_two_slots() -> None:
    world = two_slots("BlueGreen")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.crash("a")
        await world.until(lambda: serves_alone(world, OLD), within=60)
    assert (await world.audit("a"))[-1].strategy == "Restart"


HELD: dict[str, tuple[Callable[[World], None], str]] = {
    "no router": (lambda w: setattr(w.control_plane, "router", "none"), "two-slots"),
    "a source that cannot be shared": (
        lambda w: w.control_plane.impossible.update(a="source 's' cannot be shared"),
        "two-slots",
    ),
    "state would be lost": (
        lambda w: w.control_plane.losses.update(a=[Loss(query="q", reason="push only")]),
        "state-loss",
    ),
}


@pytest.mark.parametrize(("makes", "gate"), HELD.values(), ids=HELD.keys())
def test_it_is_held_before_anything_happens(makes: Callable[[World], None], gate: str) -> None:
    async def scenario() -> None:
        world = two_slots("RollingUpdate")
        makes(world)
        await world.running("a")
        async with world.daemon() as daemon:
            await world.control_plane.configure("a", NEW)
            await asyncio.sleep(120)
            blocked = daemon.fleet.plans["a"].blocked_by
            assert blocked is not None
            assert (blocked.name, blocked.until) == (gate, None)
            assert daemon.workers is not None
            if gate == "state-loss":
                daemon.workers.ask("a", Request(Trigger.MANUAL, "ann", allow_state_loss=True))
            else:
                daemon.workers.ask("a", Request(Trigger.MANUAL, "ann", "Restart"))
            await world.until(lambda: serves_alone(world, NEW), within=60)
        assert await outcomes(world) == ["held", "started", "succeeded"]

    virtual_time.run(scenario())


@simulated
async def test_impossible_after_all_it_fails_and_blames_no_configuration() -> None:
    world = two_slots("RollingUpdate")
    await world.running("a")
    await world.control_plane.configure("a", NEW)
    assert await kill_when(world, lambda: stands_at(world, "checking"))
    world.control_plane.impossible["a"] = "source 's' cannot be shared"
    async with world.daemon() as daemon:
        await asyncio.sleep(120)
        assert daemon.fleet.memory("a").quarantines == ()
    assert await outcomes(world) == ["started", "failed", "held"]
    assert serves_alone(world, OLD)


@simulated
async def test_auto_takes_two_slots_where_a_setting_of_the_server_differs() -> None:
    world = two_slots("auto")
    await world.running("a")
    hot = configuration(8100, "MATCH (m) RETURN m")
    async with world.daemon():
        await world.control_plane.configure("a", hot)
        await world.until(lambda: serves_alone(world, hot), within=60)
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: serves_alone(world, NEW), within=60)
    assert [entry.strategy for entry in await world.audit("a")] == [
        *("HotApply", "HotApply"),
        *("RollingUpdate", "RollingUpdate"),
    ]


@simulated
async def test_traffic_goes_back_though_the_router_failed_when_the_new_slot_was_gone() -> None:
    world = two_slots("BlueGreen")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "soaking"), within=60)
        world.control_plane.router_fails = True
        await world.control_plane.crash("a")
        await world.until(lambda: runs(world, "a", OLD), within=10)
        world.control_plane.router_fails = False
        await world.until(lambda: serves_alone(world, OLD), within=60)
    assert world.control_plane.slotted["a"].flow.weights == {"main": 100}


async def hand(world: World, daemon: Any, wish: Wish) -> None:
    await daemon.by_hand.take_in_hand("a", wish, "ann", "because")
    daemon.workers.ask("a", Request(Trigger.MANUAL, "ann"))


@pytest.mark.parametrize("phase", ["proving", "analysing", "soaking"])
def test_aborted_by_a_person_it_goes_back_and_stays_back(phase: str) -> None:
    async def scenario() -> None:
        world = two_slots("BlueGreen" if phase == "soaking" else "Canary")
        await world.running("a")
        async with world.daemon() as daemon:
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: stands_at(world, phase), within=60)
            await hand(world, daemon, Wish.ABORT)
            await world.until(lambda: serves_alone(world, OLD), within=10)
            await asyncio.sleep(120)
        assert serves_alone(world, OLD)
        assert await outcomes(world) == ["started", "abort", "rolled-back"]
        assert (await world.audit("a"))[2].error == "aborted by ann: because"

    virtual_time.run(scenario())


@simulated
async def test_paused_it_goes_no_step_on_and_is_still_watched() -> None:
    world = two_slots("Canary")
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "analysing"), within=60)
        await hand(world, daemon, Wish.PAUSE)
        await asyncio.sleep(900)
        held = daemon.journal.open["a"]
        assert (held.step, held.paused, held.inconclusive) == (0, "paused by ann: because", "")
        await hand(world, daemon, Wish.RESUME)
        await world.until(partial(at_step, world, 1), within=5)
        await hand(world, daemon, Wish.PAUSE)
        await asyncio.sleep(60)
        world.control_plane.manners[digest(NEW)] = Manners(errors=0.5)
        await world.until(lambda: serves_alone(world, OLD), within=5)


@simulated
async def test_nothing_is_in_hand_before_it_is_stored_that_it_begins() -> None:
    world, kept = two_slots("Canary"), asyncio.Event()
    store_save = world.store.save_operation

    async def save_late(operation: Operation, *entries: AuditEntry) -> None:
        await kept.wait()
        await store_save(operation, *entries)

    world.store.save_operation = save_late  # type: ignore[method-assign]
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: "a" in daemon.journal.open)
        with pytest.raises(NotNowError, match="no operation is under way"):
            await hand(world, daemon, Wish.PAUSE)
        kept.set()
        await world.until(lambda: stands_at(world, "analysing"), within=60)
        await hand(world, daemon, Wish.PAUSE)
    assert (await outcomes(world))[:2] == ["started", "pause"]


@simulated
async def test_promoted_it_goes_on_without_data() -> None:
    world = two_slots("Canary", rate=0.0)
    await world.running("a")
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        for step in range(4):
            await world.until(partial(at_step, world, step), within=60)
            await hand(world, daemon, Wish.PROMOTE)
        await world.until(lambda: serves_alone(world, NEW), within=60)


@simulated
async def test_a_way_back_to_the_last_good_one_skips_the_steps() -> None:
    world = two_slots("Canary", rate=0.0)
    await world.running("a")
    world.control_plane.failing[digest(NEW)] = "port in use"
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: bool(daemon.fleet.memory("a").quarantines), within=60)
        world.control_plane._run("a", world.control_plane.servers["a"], NEWER)
        await world.control_plane.look("a")
        await world.until(lambda: serves_alone(world, OLD), within=60)
    assert (await world.audit("a"))[-1].strategy == "RollingUpdate"


@simulated
async def test_an_outage_of_the_control_plane_costs_a_roll_out_nothing() -> None:
    world = two_slots("Canary")
    await world.running("a")
    async with world.daemon():
        await world.control_plane.configure("a", NEW)
        for phase in ("proving", "analysing"):
            await world.until(partial(stands_at, world, phase), within=300)
            world.control_plane.reachable = False
            await asyncio.sleep(900)
            world.control_plane.recover()
        await world.until(lambda: serves_alone(world, NEW), within=300)
    assert await outcomes(world) == ["started", "succeeded"]


def test_a_minimum_healthy_time_is_taken_on_end() -> None:
    async def scenario() -> None:
        world = two_slots("RollingUpdate")
        health = replace(world.settings.health, minimum_healthy_time=timedelta(seconds=20))
        world.settings = replace(world.settings, health=health)
        await world.running("a")
        async with world.daemon():
            await world.control_plane.configure("a", NEW)
            await world.until(lambda: stands_at(world, Phase.PROVING), within=10)
            await asyncio.sleep(15)
            world.control_plane.sick.add(digest(NEW))
            await asyncio.sleep(1)
            world.control_plane.sick.clear()
            await asyncio.sleep(15)
            assert stands_at(world, Phase.PROVING), "it began again"
            await world.until(lambda: serves_alone(world, NEW), within=10)

    virtual_time.run(scenario())


@simulated
async def test_what_ends_while_its_candidate_starts_is_restarted_and_nothing_is_blamed() -> None:
    world = two_slots("Canary")
    await world.running("a")
    world.control_plane.start_seconds = 5.0
    async with world.daemon() as daemon:
        await world.control_plane.configure("a", NEW)
        await world.until(lambda: stands_at(world, "opening"), within=10)
        await asyncio.sleep(2)
        await world.control_plane.crash("a")
        await world.until(lambda: serves_alone(world, NEW), within=60)
        assert daemon.fleet.memory("a").quarantines == ()
    end = (await world.audit("a"))[-1]
    assert (end.outcome, end.strategy) == ("succeeded", "Restart")


@simulated
async def test_what_somebody_has_switched_to_and_back_is_no_candidate() -> None:
    """It has the configuration that is to be opened, but is retired."""
    world = two_slots("RollingUpdate")
    await world.running("a")
    await world.control_plane.configure("a", NEW)
    assert await kill_when(world, lambda: stands_at(world, "opening"))
    plane = world.control_plane
    await plane.open_slot("a", NEW, Order("o", 0, "1"), 60.0, allow_state_loss=False)
    await plane.switch("a", "second", Order("o", 0, "2"), 60.0)
    await plane.switch("a", "main", Order("o", 0, "3"), 60.0)
    async with world.daemon():
        await world.until(lambda: serves_alone(world, NEW), within=60)
    assert await outcomes(world) == ["started", "succeeded"]
