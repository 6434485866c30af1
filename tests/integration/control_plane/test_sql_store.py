"""The SQL store keeps the contract, and refuses what a newer release wrote."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from draas.adapters.clock import SystemClock
from draas.adapters.store.control_plane import SqlControlPlaneStore
from draas.adapters.store.control_plane_tables import metadata
from draas.adapters.store.engine import SchemaError, sqlite_url
from draas.control_plane.store import Store, StoreError
from tests.contract_suites.control_plane_stores import (
    ControlPlaneStoreContract,
    Reopen,
    creation,
)


class TestSqlStore(ControlPlaneStoreContract):
    @pytest.fixture
    def reopen(self, store_url: str) -> Reopen:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            store = await SqlControlPlaneStore.open(store_url, SystemClock())
            try:
                yield store
            finally:
                await store.close()

        return opened


async def test_the_schema_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    await (await SqlControlPlaneStore.open(sqlite_url(file), SystemClock())).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE control_plane_version SET version_num = 'control_plane_9999'")
    with pytest.raises(SchemaError, match="newer"):
        await SqlControlPlaneStore.open(sqlite_url(file), SystemClock())


async def test_the_tables_are_those_of_the_migrations(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    await (await SqlControlPlaneStore.open(sqlite_url(file), SystemClock())).close()
    with sqlite3.connect(file) as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(f"PRAGMA table_info({table.name})").fetchall()
            found = {row[1]: bool(row[3]) for row in rows if not row[5]}
            wanted = {
                each.name: not each.nullable for each in table.columns if not each.primary_key
            }
            assert found == wanted, table.name


async def test_a_failure_names_no_content(tmp_path: Path) -> None:
    store = await SqlControlPlaneStore.open(sqlite_url(tmp_path / "store.sqlite"), SystemClock())
    try:
        with sqlite3.connect(tmp_path / "store.sqlite") as connection:
            connection.execute("DROP TABLE changes")
        with pytest.raises(StoreError) as caught:
            await store.write([creation("a", 1)], after=0, keep=10)
        assert "näme" not in str(caught.value)
        assert "INSERT" not in str(caught.value)
        assert (await store.load()).records == []
    finally:
        await store.close()
