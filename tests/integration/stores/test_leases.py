"""The contract of leases, for the SQL adapter and for the fake alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from draas.adapters.clock import SystemClock
from draas.adapters.store.engine import migrate, open_engine, sqlite_url
from draas.adapters.store.leases import SqlLeases
from draas.reconciliation.leases import Leases
from draas.reconciliation.store import StoreError
from draas.testing.memory_leases import MemoryLeases
from tests.contract_suites.leases import LONG, A, B, LeasesContract


class TestSqlLeases(LeasesContract):
    @pytest.fixture
    async def leases(self, postgres_url: str) -> AsyncIterator[Leases]:
        async for made in _sql(postgres_url):
            yield made


class TestMemoryLeases(LeasesContract):
    @pytest.fixture
    def leases(self) -> Leases:
        return MemoryLeases(SystemClock())


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
