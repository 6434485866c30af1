"""What leases promise, wherever they are kept."""

from __future__ import annotations

import asyncio

from draas.reconciliation.leases import Leases, Member
from tests.support.eventually import eventually

A, B = Member("a", "http://a", '{"failing": 1}'), Member("b", "http://b")
LONG, SHORT = 60.0, 0.2


class LeasesContract:
    """Give `leases`: nobody's, to be shared by several members."""

    async def test_members_see_each_other(self, leases: Leases) -> None:
        assert (await leases.beat(A, LONG)).members == (A,)
        assert set((await leases.beat(B, LONG)).members) == {A, B}
        moved = Member("a", "http://elsewhere")
        assert set((await leases.beat(moved, LONG)).members) == {moved, B}

    async def test_what_is_held_is_told_at_each_beat(self, leases: Leases) -> None:
        await leases.beat(A, LONG)
        taken = await leases.acquire("a", ["x", "y"])
        assert taken.keys() == {"x", "y"}
        assert (await leases.beat(A, LONG)).held == taken
        await leases.release("a", ["x"])
        assert (await leases.beat(A, LONG)).held == {"y": taken["y"]}

    async def test_nobody_takes_what_a_live_member_holds(self, leases: Leases) -> None:
        for member in (A, B):
            await leases.beat(member, LONG)
        held = await leases.acquire("a", ["x"])
        taken = await leases.acquire("b", ["x", "y"])
        assert taken.keys() == {"y"}
        await leases.release("b", ["x"])
        assert (await leases.beat(A, LONG)).held == held

    async def test_two_at_once_never_get_the_same(self, leases: Leases) -> None:
        names = [f"n{number}" for number in range(20)]
        await asyncio.gather(*(leases.beat(member, LONG) for member in (A, B)))
        first, second = await asyncio.gather(
            leases.acquire("a", names), leases.acquire("b", names[::-1])
        )
        assert sorted([*first, *second]) == sorted(names)

    async def test_the_fence_grows_with_every_acquisition(self, leases: Leases) -> None:
        fences = []
        for member in (A, B, A):
            await leases.beat(member, LONG)
            fences.append((await leases.acquire(member.id, ["x"]))["x"])
            await leases.release(member.id, ["x"])
        assert fences == sorted(set(fences))
        assert fences[0] > 1_700_000_000_000, "at least the milliseconds of the clock that decides"

    async def test_the_leases_of_who_is_silent_are_free_after_a_while(self, leases: Leases) -> None:
        await leases.beat(A, SHORT)
        [old] = (await leases.acquire("a", ["x"])).values()
        await leases.beat(B, LONG)

        async def taken() -> dict[str, int]:
            return await leases.acquire("b", ["x"])

        assert (await eventually(taken, within=20))["x"] > old
        assert (await leases.beat(B, LONG)).members == (B,)
        assert (await leases.beat(A, LONG)).held == {}, "who comes back holds nothing"

    async def test_who_leaves_frees_everything_at_once(self, leases: Leases) -> None:
        for member in (A, B):
            await leases.beat(member, LONG)
        await leases.acquire("a", ["x", "y"])
        await leases.leave("a")
        assert (await leases.acquire("b", ["x", "y"])).keys() == {"x", "y"}
        assert (await leases.beat(B, LONG)).members == (B,)
