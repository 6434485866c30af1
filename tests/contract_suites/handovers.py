"""How the lead over an instance goes from one of its servers to the other, whatever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

import pytest

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED
from draas.control_plane.handover import Handover, HandoverError
from draas.control_plane.ports import Running


class World(Protocol):
    """Two servers of one instance: `second` follows `main`, which leads and has some changes."""

    handover: Handover
    main: Running
    second: Running

    async def change(self, leader: Running) -> None:
        """Let the leader have one change more."""

    async def kill(self, running: Running) -> None: ...


async def role(world: World, running: Running) -> str:
    return (await world.handover.status(running)).role


async def refused(call: Coroutine[Any, Any, object]) -> None:
    with pytest.raises(HandoverError):
        await call


async def cut_over(world: World, leader: Running, follower: Running) -> int:
    sequence = await world.handover.seal(leader, follower)
    await world.handover.promote(follower, sequence)
    await world.handover.follow(leader, follower)
    return sequence


async def up_to_date(world: World, follower: Running) -> int:
    """The last change of a follower, once it has all of them."""
    async with asyncio.timeout(10):
        while (found := await world.handover.status(follower)).lag != 0:
            await asyncio.sleep(0.02)
    return found.sequence


class HandoverContract:
    async def test_one_leads_and_the_other_follows_it(self, world: World) -> None:
        assert [await role(world, each) for each in (world.main, world.second)] == [
            LEADER,
            FOLLOWER,
        ]
        assert (await world.handover.status(world.main)).sequence > 0

    async def test_the_lead_goes_over_and_back(self, world: World) -> None:
        there = await cut_over(world, world.main, world.second)
        assert [await role(world, each) for each in (world.main, world.second)] == [
            FOLLOWER,
            LEADER,
        ]
        await world.change(world.second)
        back = await cut_over(world, world.second, world.main)
        assert back == there + 1
        assert [await role(world, each) for each in (world.main, world.second)] == [
            LEADER,
            FOLLOWER,
        ]

    async def test_every_step_may_be_repeated(self, world: World) -> None:
        handover, main, second = world.handover, world.main, world.second
        sequence = await handover.seal(main, second)
        assert await handover.seal(main, second) == sequence
        assert await role(world, main) == SEALED
        for _ in range(2):
            await handover.promote(second, sequence)
        for _ in range(2):
            await handover.follow(main, second)
        assert (await role(world, main), await role(world, second)) == (FOLLOWER, LEADER)

    async def test_who_was_sealed_for_nothing_leads_on(self, world: World) -> None:
        await world.handover.seal(world.main, world.second)
        for _ in range(2):
            await world.handover.unseal(world.main)
        assert await role(world, world.main) == LEADER
        await world.change(world.main)
        await cut_over(world, world.main, world.second)

    async def test_a_seal_is_not_broken_once_the_successor_leads(self, world: World) -> None:
        sequence = await world.handover.seal(world.main, world.second)
        await world.handover.promote(world.second, sequence)
        await refused(world.handover.unseal(world.main))
        assert (await role(world, world.main), await role(world, world.second)) == (SEALED, LEADER)

    async def test_only_in_its_turn(self, world: World) -> None:
        """Whoever leads does not follow at once, who follows is not sealed, who is sealed waits."""
        handover, main, second = world.handover, world.main, world.second
        await refused(handover.follow(main, second))
        await refused(handover.seal(second, main))
        await refused(handover.unseal(second))
        sequence = await handover.seal(main, second)
        await refused(handover.promote(main, sequence))
        assert (await role(world, main), await role(world, second)) == (SEALED, FOLLOWER)

    async def test_a_follower_gets_through_with_the_last_change_of_its_sealed_leader(
        self, world: World
    ) -> None:
        await world.change(world.main)
        sequence = await world.handover.seal(world.main, None)
        for _ in range(2):
            await world.handover.settle(world.second, sequence)
        assert (await world.handover.status(world.second)).sequence == sequence
        await refused(world.handover.settle(world.main, sequence))
        await world.handover.unseal(world.main)
        assert await role(world, world.second) == FOLLOWER

    async def test_nobody_leads_from_a_change_that_is_past(self, world: World) -> None:
        sequence = await world.handover.seal(world.main, world.second)
        await world.handover.unseal(world.main)
        await world.change(world.main)
        assert await up_to_date(world, world.second) == sequence + 1
        await refused(world.handover.promote(world.second, sequence))
        assert await role(world, world.second) == FOLLOWER

    async def test_a_leader_that_lives_is_not_replaced(self, world: World) -> None:
        await refused(world.handover.promote(world.second, None))
        await world.kill(world.main)
        await world.handover.promote(world.second, None)
        assert await role(world, world.second) == LEADER

    async def test_the_dead_answer_nothing(self, world: World) -> None:
        handover, main, second = world.handover, world.main, world.second
        await world.kill(main)
        for call in (
            handover.status(main),
            handover.seal(main, second),
            handover.unseal(main),
            handover.settle(main, 0),
            handover.promote(main, None),
            handover.follow(main, second),
            handover.rows(main, "all"),
        ):
            await refused(call)
