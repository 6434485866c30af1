"""What every native control plane does for a daemon with a second slot of an instance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import pytest

from draas.client.port import Order
from draas.contract.drasi_server import FOLLOWER, LEADER
from draas.model.configuration import digest
from draas.model.instance import InstanceState
from draas.model.slots import CANDIDATE, MAIN, RETIRED, SECOND, SERVING, Slot
from draas.testing.configurations import configuration
from tests.contract_suites import control_planes
from tests.contract_suites.control_planes import (
    KEYS,
    SECONDS,
    healthy,
    order,
    refused,
    start,
    state,
    told,
)

OLD, NEW, OTHER = (configuration(port) for port in (9121, 9122, 9123))


class World(control_planes.World, Protocol):
    """As for `ControlPlaneContract`, with a router and servers that hand over."""

    async def crash(self, instance_id: str, slot: str = MAIN) -> None:
        """End what runs in the slot; the control plane has seen it."""

    def ends_in_launch(self) -> None:
        """Let what serves `a` end while its second slot is being started."""

    def forgetful(self) -> Mapping[str, Any]:
        """A configuration of `a` whose query `q` would begin empty in a second slot."""

    def refuse(self, slot: str, call: str) -> None:
        """Let the server of a slot of `a` refuse a call of its hand-over."""

    def roles(self) -> dict[str, str]:
        """What each server of `a` that runs says of the lead."""

    def weights(self) -> dict[str, int]:
        """The share of the traffic of `a` that each slot really gets, if any."""


async def serving(world: World) -> None:
    """`a` runs its first configuration, and has another one to come."""
    await world.create("a", OLD)
    await world.want("a", running=True)
    await healthy(world)
    await world.configure("a", NEW)


async def proven(world: World, generation: int) -> InstanceState:
    """The state once what serves was seen to run well."""
    async with asyncio.timeout(SECONDS):
        while (found := await state(world)).last_good_generation != generation:
            await asyncio.sleep(0.02)
    return found


async def opened(world: World, document: Mapping[str, Any] = NEW) -> Slot:
    return await world.plane.open_slot("a", document, order(), SECONDS, allow_state_loss=False)


async def weigh(world: World, **weights: int) -> None:
    await world.plane.weigh("a", weights, order(), SECONDS)


async def switch(world: World, slot: str) -> None:
    await world.plane.switch("a", slot, order(), SECONDS)


async def close(world: World, slot: str) -> None:
    await world.plane.close_slot("a", slot, order(), 0.0, SECONDS)


async def slots(world: World) -> dict[str, tuple[str, str | None]]:
    """The role and the configuration of each slot."""
    return {each.name: (each.role, each.digest) for each in (await world.plane.slots("a")).slots}


CALLS: dict[str, Callable[[World, Order], Awaitable[object]]] = {
    "open": lambda world, order: world.plane.open_slot(
        "a", NEW, order, SECONDS, allow_state_loss=False
    ),
    "weigh": lambda world, order: world.plane.weigh("a", {MAIN: 100}, order, SECONDS),
    "switch": lambda world, order: world.plane.switch("a", MAIN, order, SECONDS),
    "close": lambda world, order: world.plane.close_slot("a", SECOND, order, 0.0, SECONDS),
}


class SlotsContract:
    async def test_one_slot_serves_and_another_is_possible(self, world: World) -> None:
        await serving(world)
        found = await world.plane.slots("a")
        assert found.router != "none"
        assert [(each.name, each.role, each.weight) for each in found.slots] == [
            (MAIN, SERVING, 100)
        ]
        assert (await world.plane.plan_slots("a", NEW)).possible
        assert (await state(world)).second_slot is None

    async def test_a_candidate_follows_without_traffic_and_is_news(self, world: World) -> None:
        await serving(world)
        listed = await world.plane.fleet()
        assert listed is not None and listed.cursor is not None
        candidate = await opened(world)
        assert (candidate.name, candidate.role, candidate.weight) == (SECOND, CANDIDATE, 0)
        assert candidate.digest == digest(NEW)
        assert world.roles() == {MAIN: LEADER, SECOND: FOLLOWER}
        assert world.weights() == {MAIN: 100}
        change = await told(world, listed.cursor, "SlotsChanged")
        assert change.state is not None and change.state.second_slot == CANDIDATE
        assert (await state(world)).applied_digest == digest(OLD)

    async def test_a_candidate_is_opened_once_and_beside_no_other(self, world: World) -> None:
        await serving(world)
        first = await opened(world)
        assert (await opened(world)).process_id == first.process_id
        error = await refused(opened(world, OTHER))
        assert (error.kind, error.transient) == ("slot-occupied", False)
        await switch(world, SECOND)
        assert (await refused(opened(world, OLD))).kind == "slot-occupied"

    async def test_a_candidate_that_ended_is_opened_again(self, world: World) -> None:
        await serving(world)
        first = await opened(world)
        await world.crash("a", SECOND)
        found = (await world.plane.slots("a")).spare
        assert found is not None and (found.process_id, found.health) == (None, "Unhealthy")
        again = await opened(world)
        assert again.process_id not in (None, first.process_id) or again.health == "Healthy"
        assert world.roles() == {MAIN: LEADER, SECOND: FOLLOWER}

    async def test_what_cannot_start_leaves_no_slot(self, world: World) -> None:
        await serving(world)
        world.doom("a", NEW)
        error = await refused(opened(world))
        assert (error.kind, error.transient) == ("start-failed", False)
        assert await slots(world) == {MAIN: (SERVING, digest(OLD))}
        found = await state(world)
        assert (found.status, found.second_slot) == ("Running", None)

    async def test_what_has_nothing_to_follow_is_not_blamed(self, world: World) -> None:
        await serving(world)
        world.doom("a", NEW)
        world.ends_in_launch()
        error = await refused(opened(world))
        assert (error.kind, error.transient) == ("instance-not-running", False)
        async with asyncio.timeout(SECONDS):
            while (found := await state(world)).status != "Error":
                await asyncio.sleep(0.02)
        assert found.second_slot is None

    async def test_what_would_begin_empty_needs_consent(self, world: World) -> None:
        await serving(world)
        document = world.forgetful()
        plan = await world.plane.plan_slots("a", document)
        assert (plan.possible, [each.query for each in plan.losses]) == (True, ["q"])
        assert (await refused(opened(world, document))).kind == "two-slots-impossible"
        await world.plane.open_slot("a", document, order(), SECONDS, allow_state_loss=True)
        assert list(await slots(world)) == [MAIN, SECOND]

    @pytest.mark.parametrize("call", CALLS)
    async def test_what_does_not_run_has_no_slots(self, world: World, call: str) -> None:
        await world.create("a", OLD)
        error = await refused(CALLS[call](world, order()))
        assert (error.kind, error.transient) == ("instance-not-running", False)

    @pytest.mark.parametrize("call", CALLS)
    async def test_who_was_taken_over_is_not_obeyed(self, world: World, call: str) -> None:
        await serving(world)
        await CALLS[call](world, Order("op", 7, next(KEYS)))
        error = await refused(CALLS[call](world, Order("op", 6, next(KEYS))))
        assert (error.kind, error.members["highest"]) == ("stale-fence", 7)

    async def test_a_repeated_call_on_slots_is_made_once(self, world: World) -> None:
        await serving(world)
        await opened(world)
        once = order()
        for _ in range(2):
            await world.plane.close_slot("a", SECOND, once, 0.0, SECONDS)
        await opened(world)
        await world.plane.close_slot("a", SECOND, once, 0.0, SECONDS)
        assert list(await slots(world)) == [MAIN, SECOND]

    async def test_traffic_is_shared_as_told_and_counted(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await weigh(world, main=75, second=25)
        assert world.weights() == {MAIN: 75, SECOND: 25}
        found = {each.name: each.weight for each in (await world.plane.slots("a")).slots}
        assert found == {MAIN: 75, SECOND: 25}
        assert set((await world.plane.traffic("a")).slots) == {MAIN, SECOND}
        error = await refused(weigh(world, main=75))
        assert (error.status, error.kind) == (400, "invalid-parameter")
        assert (await refused(weigh(world, main=50, third=50))).kind == "slot-not-found"
        assert world.weights() == {MAIN: 75, SECOND: 25}

    async def test_traffic_is_taken_from_what_has_ended(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await weigh(world, main=75, second=25)
        await world.crash("a", SECOND)
        assert (await refused(weigh(world, main=50, second=50))).kind == "slot-not-found"
        await weigh(world, main=100, second=0)
        assert world.weights() == {MAIN: 100}
        assert (await state(world)).status == "Running"

    async def test_after_a_switch_the_other_serves_and_leads(self, world: World) -> None:
        await serving(world)
        await opened(world)
        for _ in range(2):
            await switch(world, SECOND)
            assert await slots(world) == {
                SECOND: (SERVING, digest(NEW)),
                MAIN: (RETIRED, digest(OLD)),
            }
            assert world.roles() == {SECOND: LEADER, MAIN: FOLLOWER}
            assert world.weights() == {SECOND: 100}
        found = await proven(world, 2)
        assert (found.applied_digest, found.second_slot) == (digest(NEW), RETIRED)

    async def test_the_way_back_takes_back_that_the_newer_was_good(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await switch(world, SECOND)
        await proven(world, 2)
        await switch(world, MAIN)
        found = await healthy(world)
        assert (found.applied_digest, found.last_good_generation) == (digest(OLD), 1)
        assert world.roles() == {MAIN: LEADER, SECOND: FOLLOWER}
        assert world.weights() == {MAIN: 100}

    async def test_what_serves_is_switched_to_with_all_of_the_traffic(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await weigh(world, main=0, second=100)
        await switch(world, MAIN)
        assert world.weights() == {MAIN: 100}
        assert (await state(world)).second_slot == CANDIDATE

    async def test_who_cannot_lead_leaves_all_as_it_was(self, world: World) -> None:
        await serving(world)
        await opened(world)
        world.refuse(SECOND, "promote")
        error = await refused(switch(world, SECOND))
        assert (error.kind, error.transient) == ("switch-failed", True)
        assert world.roles() == {MAIN: LEADER, SECOND: FOLLOWER}
        assert world.weights() == {MAIN: 100}
        assert (await state(world)).applied_digest == digest(OLD)

    async def test_only_what_runs_is_switched_to(self, world: World) -> None:
        await serving(world)
        assert (await refused(switch(world, SECOND))).kind == "slot-not-found"
        await opened(world)
        await world.crash("a", SECOND)
        assert (await refused(switch(world, SECOND))).kind == "slot-not-found"
        assert world.roles() == {MAIN: LEADER}

    async def test_the_old_slot_takes_over_from_a_new_one_that_ended(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await switch(world, SECOND)
        await proven(world, 2)
        await world.crash("a", SECOND)
        found = await state(world)
        assert (found.status, found.second_slot, found.last_good_generation) == (
            "Error",
            RETIRED,
            1,
        )
        assert list(await slots(world)) == [MAIN]
        await switch(world, MAIN)
        found = await healthy(world)
        assert (found.status, found.applied_digest, found.second_slot) == (
            "Running",
            digest(OLD),
            None,
        )
        assert world.roles() == {MAIN: LEADER}
        assert world.weights() == {MAIN: 100}

    async def test_a_closed_slot_is_gone_and_again_is_nothing(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await weigh(world, main=5, second=95)
        for _ in range(2):
            await close(world, SECOND)
            assert await slots(world) == {MAIN: (SERVING, digest(OLD))}
            assert world.roles() == {MAIN: LEADER}
            assert world.weights() == {MAIN: 100}
            assert (await state(world)).second_slot is None

    async def test_what_serves_is_not_closed(self, world: World) -> None:
        await serving(world)
        await opened(world)
        await switch(world, SECOND)
        error = await refused(close(world, SECOND))
        assert (error.kind, error.transient) == ("slot-serves", False)
        await close(world, MAIN)
        assert await slots(world) == {SECOND: (SERVING, digest(NEW))}

    async def test_what_is_stuck_is_closed_all_the_same(self, world: World) -> None:
        await serving(world)
        await opened(world)
        for call in ("status", "promote", "follow", "seal"):
            world.refuse(SECOND, call)
        await close(world, SECOND)
        assert list(await slots(world)) == [MAIN]

    async def test_a_stop_ends_every_slot(self, world: World) -> None:
        await serving(world)
        await opened(world)
        assert await world.plane.stop("a", order(), SECONDS) is True
        found = await state(world)
        assert (found.status, found.second_slot) == ("Stopped", None)
        assert world.roles() == {}
        assert await slots(world) == {}

    async def test_a_start_ends_what_is_left_of_a_slot(self, world: World) -> None:
        """It may lead, where a switch was broken off; two must not."""
        await serving(world)
        await opened(world)
        await world.crash("a", MAIN)
        found = await state(world)
        assert (found.status, found.second_slot) == ("Error", CANDIDATE)
        await start(world, NEW)
        found = await healthy(world)
        assert (found.applied_digest, found.second_slot) == (digest(NEW), None)
        assert list(world.roles().values()) == [LEADER]

    async def test_equal_rows_are_known_once_two_run(self, world: World) -> None:
        await serving(world)
        assert (await world.plane.parity("a")).queries == []
        await opened(world)
        found = await world.plane.parity("a")
        assert [(each.id, each.same) for each in found.queries] == [("q", True)]

    async def test_calls_on_one_instance_are_made_one_at_a_time(self, world: World) -> None:
        await serving(world)
        results = await asyncio.gather(*(opened(world) for _ in range(3)), return_exceptions=True)
        assert sum(not isinstance(each, BaseException) for each in results) == 1
        assert world.roles() == {MAIN: LEADER, SECOND: FOLLOWER}
