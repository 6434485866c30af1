"""How the daemon learns what changed, on virtual time."""

from __future__ import annotations

import asyncio

from draas.client.port import FleetStates
from draas.contract.feed import MOST
from draas.model.configuration import observable_digest
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.heartbeats import Heartbeats
from draas.reconciliation.link import Link
from draas.reconciliation.places import Places
from draas.reconciliation.triggers import RELIST_SECONDS, SLICE, Triggers
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry.metrics import DaemonMetrics
from draas.testing import virtual_time
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.virtual_time import VirtualClock
from tests.unit.reconciliation.simulation import World, configuration


class SlowLists(SimulatedControlPlane):
    """Lists are a second old when they arrive."""

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        found = await super().fleet(etag)
        await asyncio.sleep(1)
        return found


def triggers(control_plane: SimulatedControlPlane, fleet: Fleet, clock: VirtualClock) -> Triggers:
    metrics = DaemonMetrics()
    return Triggers(
        control_plane=control_plane,
        fleet=fleet,
        queue=WorkQueue(clock),
        places=Places(5, lambda _id, _request: None),
        link=Link(clock, metrics),
        counts=CycleCounts(),
        heartbeats=Heartbeats(clock),
        clock=clock,
        metrics=metrics,
        acts=True,
        owns=lambda _: True,
    )


def test_a_check_takes_in_more_changes_than_one_answer_holds() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = SimulatedControlPlane(clock), Fleet()
        await control_plane.create("a", configuration(9000))
        await control_plane.create("b", configuration(9001))
        made = triggers(control_plane, fleet, clock)
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


def test_a_list_does_not_undo_what_the_feed_told_while_it_was_on_its_way() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        control_plane, fleet = SlowLists(clock), Fleet()
        await control_plane.create("a", configuration(9000))
        made = triggers(control_plane, fleet, clock)
        following = asyncio.create_task(made.follow())
        await asyncio.sleep(2)
        listing = asyncio.create_task(made.resync())
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
        await triggers(control_plane, fleet, clock).resync()
        looking.cancel()
        assert SLICE in seen
        assert len(fleet.states) == 3 * SLICE

    virtual_time.run(scenario())
