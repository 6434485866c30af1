"""How the daemon learns what changed, on virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from draas.client.port import FleetStates, GarbageError, UnreachableError
from draas.contract.feed import MOST, Changes, parse_cursor
from draas.model.configuration import observable_digest
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.heartbeats import Heartbeats
from draas.reconciliation.intake import RELIST_SECONDS, SLICE, Intake
from draas.reconciliation.link import Link
from draas.reconciliation.places import Places
from draas.reconciliation.triggers import LONG_POLL_SECONDS, Triggers
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry.metrics import DaemonMetrics
from draas.testing import virtual_time
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.virtual_time import VirtualClock
from tests.unit.reconciliation.simulation import World, configuration


class Restless(SimulatedControlPlane):
    """Answers at once, whatever it was asked to wait for; with `gaps` it never knows a cursor."""

    gaps = False
    asked = 0

    async def changes(self, after: str, wait: float) -> Changes:
        self.asked += 1
        return Changes("e", after, self.gaps, [])


class Unreadable(SimulatedControlPlane):
    """No answer of its feed can be read that goes on from before `readable_from`."""

    readable_from = 0
    asked = listed = 0

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        self.listed += 1
        return await super().fleet(etag)

    async def changes(self, after: str, wait: float) -> Changes:
        self.asked += 1
        found = await super().changes(after, wait)
        if parse_cursor(after)[1] < self.readable_from:
            raise GarbageError("the answer is too large")
        return found


class Hanging(SimulatedControlPlane):
    """Answers no poll once it hangs; the client gives it ten seconds more than it asked for."""

    hangs = False

    async def changes(self, after: str, wait: float) -> Changes:
        if self.hangs:
            await asyncio.sleep(wait + 10)
            raise UnreachableError("no answer")
        return await super().changes(after, wait)


class Senseless(SimulatedControlPlane):
    """Lists those of `unreadable` as such."""

    unreadable: dict[str, str]

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        found = await super().fleet()
        assert found is not None
        states = tuple(state for state in found.states if state.id not in self.unreadable)
        return FleetStates(states, None, None, self.unreadable)


class SlowLists(SimulatedControlPlane):
    """Lists are a second old when they arrive."""

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        found = await super().fleet(etag)
        await asyncio.sleep(1)
        return found


def triggers(control_plane: SimulatedControlPlane, fleet: Fleet, clock: VirtualClock) -> Triggers:
    metrics, queue = DaemonMetrics(), WorkQueue(clock)
    link = Link(clock, metrics)
    intake = Intake(
        control_plane=control_plane,
        fleet=fleet,
        queue=queue,
        link=link,
        clock=clock,
        metrics=metrics,
        acts=True,
        owns=lambda _: True,
    )
    return Triggers(
        control_plane=control_plane,
        intake=intake,
        fleet=fleet,
        queue=queue,
        places=Places(5, lambda _id, _request: None),
        link=link,
        counts=CycleCounts(),
        heartbeats=Heartbeats(clock),
        clock=clock,
        metrics=metrics,
        under_way=set,
    )


def test_a_check_takes_in_more_changes_than_one_answer_holds() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = SimulatedControlPlane(clock), Fleet()
        await control_plane.create("a", configuration(9000))
        await control_plane.create("b", configuration(9001))
        made = triggers(control_plane, fleet, clock).intake
        await made.check()
        for _ in range(MOST):
            await control_plane.crash("a")
        await control_plane.configure("b", configuration(9002))
        await made.check()
        assert fleet.states["b"].generation == 2

    virtual_time.run(scenario())


def test_what_no_event_told_is_found_when_the_whole_fleet_is_listed_again() -> None:
    async def scenario() -> None:
        world = World()
        await world.running("a")
        async with world.daemon() as daemon:
            await world.until(lambda: daemon.link.synced)
            server = world.control_plane.servers["a"]
            server.observed = observable_digest(configuration(text="MATCH (x) RETURN x"))
            await world.until(lambda: server.starts == 1, within=RELIST_SECONDS + 60)

    virtual_time.run(scenario())


def test_who_only_follows_lists_the_whole_fleet_again_too() -> None:
    async def scenario() -> None:
        world = World(enable_auto_reconciliation=False)
        await world.running("a")
        async with world.daemon() as daemon:
            await world.until(lambda: daemon.link.synced)
            server = world.control_plane.servers["a"]
            server.observed = observable_digest(configuration(text="MATCH (x) RETURN x"))
            await world.until(lambda: server.starts == 1, within=RELIST_SECONDS + 60)

    virtual_time.run(scenario())


@pytest.mark.parametrize("gaps", [False, True])
def test_a_feed_that_does_not_wait_is_not_asked_in_a_tight_loop(gaps: bool) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane = Restless(clock)
        control_plane.gaps = gaps
        await control_plane.create("a", configuration(9000))
        following = asyncio.create_task(triggers(control_plane, Fleet(), clock).follow())
        await asyncio.sleep(120)
        following.cancel()
        assert 4 < control_plane.asked < 20

    virtual_time.run(scenario())


def test_changes_that_cannot_be_read_are_made_up_for_by_a_list() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = Unreadable(clock), Fleet()
        await control_plane.create("a", configuration(9000))
        following = asyncio.create_task(triggers(control_plane, fleet, clock).follow())
        await asyncio.sleep(5)
        control_plane.readable_from = 2
        await control_plane.configure("a", configuration(9001))
        await asyncio.sleep(15)
        assert fleet.states["a"].generation == 2
        await control_plane.configure("a", configuration(9002))
        await asyncio.sleep(1)
        assert fleet.states["a"].generation == 3
        following.cancel()

    virtual_time.run(scenario())


def test_a_feed_that_can_never_be_read_is_listed_ever_less_often() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane = Unreadable(clock)
        control_plane.readable_from = 10
        await control_plane.create("a", configuration(9000))
        following = asyncio.create_task(triggers(control_plane, Fleet(), clock).follow())
        await asyncio.sleep(120)
        following.cancel()
        assert 4 < control_plane.listed < 20
        assert 4 < control_plane.asked < 20

    virtual_time.run(scenario())


def test_a_check_takes_a_list_after_changes_that_cannot_be_read() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = Unreadable(clock), Fleet()
        await control_plane.create("a", configuration(9000))
        repeating = asyncio.create_task(
            triggers(control_plane, fleet, clock).repeat(timedelta(seconds=30), at_once=True)
        )
        await asyncio.sleep(5)
        await control_plane.configure("a", configuration(9001))
        control_plane.readable_from = 2
        await asyncio.sleep(60)
        assert fleet.states["a"].generation == 2
        repeating.cancel()

    virtual_time.run(scenario())


def test_a_control_plane_that_hangs_is_away_since_it_should_have_answered() -> None:
    async def scenario() -> None:
        world = World(enable_auto_reconciliation=False)
        world.control_plane = hanging = Hanging(world.clock)
        await world.running("a")
        async with world.daemon() as daemon:
            await world.until(lambda: daemon.link.synced)
            hanging.hangs = True
            await asyncio.sleep(LONG_POLL_SECONDS)
            await world.until(lambda: daemon.link.is_away, within=LONG_POLL_SECONDS + 11)
            assert daemon.link.away_for() >= 10

    virtual_time.run(scenario())


def test_what_is_gone_while_nobody_could_read_it_is_gone() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = Senseless(clock), Fleet()
        control_plane.unreadable = {}
        for name in ("a", "b"):
            await control_plane.create(name, configuration(9000))
        made = triggers(control_plane, fleet, clock).intake
        await made.resync()
        control_plane.unreadable = {"a": "no sense", "?": "no id"}
        await made.resync()
        assert fleet.unreadable == control_plane.unreadable
        assert fleet.drift("a").unknown == "no sense"
        await control_plane.delete("a")
        control_plane.unreadable = {}
        await made.resync()
        assert fleet.unreadable == {}
        assert fleet.missing_from(["b"]) == {"a"}

    virtual_time.run(scenario())


def test_a_list_does_not_undo_what_the_feed_told_while_it_was_on_its_way() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = SlowLists(clock), Fleet()
        await control_plane.create("a", configuration(9000))
        made = triggers(control_plane, fleet, clock)
        following = asyncio.create_task(made.follow())
        await asyncio.sleep(2)
        listing = asyncio.create_task(made.intake.resync())
        await control_plane.create("b", configuration(9001))
        await asyncio.sleep(0.1)
        await control_plane.configure("a", configuration(9002))
        await listing
        assert fleet.states["a"].generation == 2
        following.cancel()

    virtual_time.run(scenario())


def test_a_large_list_gives_others_a_turn() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = SimulatedControlPlane(clock), Fleet()
        for number in range(3 * SLICE):
            await control_plane.create(str(number), configuration(9000))
        seen: list[int] = []

        async def look() -> None:
            while True:
                seen.append(len(fleet.states))
                await asyncio.sleep(0)

        looking = asyncio.create_task(look())
        await triggers(control_plane, fleet, clock).intake.resync()
        looking.cancel()
        assert SLICE in seen
        assert len(fleet.states) == 3 * SLICE

    virtual_time.run(scenario())
