"""The contract of leases, for the SQL adapter and for the fake alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from draas.adapters.clock import SystemClock
from draas.adapters.store.engine import migrate, open_engine, sqlite_url
from draas.adapters.store.leases import SqlLeases
from draas.reconciliation.leases import Leases, Member
from draas.reconciliation.store import StoreError
from draas.testing.memory_leases import MemoryLeases
from tests.support.eventually import eventually

A, B = Member("a", "http://a", '{"failing": 1}'), Member("b", "http://b")
LONG, SHORT = 60.0, 0.2


@pytest.fixture(params=["postgresql", "memory"])
async def leases(request: pytest.FixtureRequest) -> AsyncIterator[Leases]:
    """Leases that several members share."""
    if request.param == "memory":
        yield MemoryLeases(SystemClock())
        return
    async for made in _sql(request.getfixturevalue("postgres_url")):
        yield made


@pytest.fixture(params=["sqlite", "memory"])
async def alone(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Leases]:
    """Leases that one process at a time has."""
    if request.param == "memory":
        yield MemoryLeases(SystemClock(), exclusive=True)
        return
    async for made in _sql(sqlite_url(tmp_path / "store.sqlite")):
        yield made


async def _sql(url: str) -> AsyncIterator[SqlLeases]:
    await migrate(url, "reconciliation")
    engine = open_engine(url)
    yield SqlLeases(engine, SystemClock())
    await engine.dispose()


async def test_members_see_each_other(leases: Leases) -> None:
    assert (await leases.beat(A, LONG)).members == (A,)
    assert set((await leases.beat(B, LONG)).members) == {A, B}
    moved = Member("a", "http://elsewhere")
    assert set((await leases.beat(moved, LONG)).members) == {moved, B}


async def test_what_is_held_is_told_at_each_beat(leases: Leases) -> None:
    await leases.beat(A, LONG)
    taken = await leases.acquire("a", ["x", "y"])
    assert taken.keys() == {"x", "y"}
    assert (await leases.beat(A, LONG)).held == taken
    await leases.release("a", ["x"])
    assert (await leases.beat(A, LONG)).held == {"y": taken["y"]}


async def test_nobody_takes_what_a_live_member_holds(leases: Leases) -> None:
    for member in (A, B):
        await leases.beat(member, LONG)
    held = await leases.acquire("a", ["x"])
    taken = await leases.acquire("b", ["x", "y"])
    assert taken.keys() == {"y"}
    await leases.release("b", ["x"])
    assert (await leases.beat(A, LONG)).held == held


async def test_two_at_once_never_get_the_same(leases: Leases) -> None:
    names = [f"n{number}" for number in range(20)]
    await asyncio.gather(*(leases.beat(member, LONG) for member in (A, B)))
    first, second = await asyncio.gather(
        leases.acquire("a", names), leases.acquire("b", names[::-1])
    )
    assert sorted([*first, *second]) == sorted(names)


async def test_the_fence_grows_with_every_acquisition(leases: Leases) -> None:
    fences = []
    for member in (A, B, A):
        await leases.beat(member, LONG)
        fences.append((await leases.acquire(member.id, ["x"]))["x"])
        await leases.release(member.id, ["x"])
    assert fences == sorted(set(fences))
    assert fences[0] > 1_700_000_000_000, "at least the milliseconds of the clock that decides"


async def test_the_leases_of_who_is_silent_are_free_after_a_while(leases: Leases) -> None:
    await leases.beat(A, SHORT)
    [old] = (await leases.acquire("a", ["x"])).values()
    await leases.beat(B, LONG)

    async def taken() -> dict[str, int]:
        return await leases.acquire("b", ["x"])

    assert (await eventually(taken, within=5))["x"] > old
    assert (await leases.beat(B, LONG)).members == (B,)
    assert (await leases.beat(A, LONG)).held == {}, "who comes back holds nothing"


async def test_who_leaves_frees_everything_at_once(leases: Leases) -> None:
    for member in (A, B):
        await leases.beat(member, LONG)
    await leases.acquire("a", ["x", "y"])
    await leases.leave("a")
    assert (await leases.acquire("b", ["x", "y"])).keys() == {"x", "y"}
    assert (await leases.beat(B, LONG)).members == (B,)


async def test_what_an_earlier_process_left_does_not_hold_up_the_next(alone: Leases) -> None:
    assert alone.exclusive
    await alone.beat(A, LONG)
    [old] = (await alone.acquire("a", ["x"])).values()
    assert (await alone.beat(B, LONG)).members == (B,)
    [new] = (await alone.acquire("b", ["x"])).values()
    assert new > old
    assert (await alone.beat(B, LONG)).held == {"x": new}


async def test_an_unreachable_store_is_an_error_of_the_store(tmp_path: Path) -> None:
    async for leases in _sql(sqlite_url(tmp_path / "store.sqlite")):
        async with leases._engine.begin() as connection:
            await connection.execute(sa.text("drop table members"))
        with pytest.raises(StoreError):
            await leases.beat(A, LONG)


async def test_a_beat_alone_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    log = file.with_name(file.name + "-wal")
    async for leases in _sql(sqlite_url(file)):
        await leases.beat(A, LONG)
        before = log.read_bytes()
        await leases.beat(A, LONG)
        assert log.read_bytes() == before
