"""What is said when a database cannot be used, and what a restart of it does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from draas.adapters.store.engine import DatabaseError, migrate, sqlite_url
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.adapters.store.reconciliation_tables import SHARDS
from draas.decide.assign import shard_of
from draas.model.reconciliation import Memory
from draas.reconciliation.shards import LOCAL_SHARE, TTL_SECONDS
from draas.reconciliation.store import LeaseLostError
from tests.integration.stores.test_reconciliation_store import entry


@pytest.mark.parametrize(
    ("url", "names", "way_out"),
    [
        pytest.param("mysql://u:secret@h/d", "mysql", "give sqlite", id="another kind"),
        pytest.param(
            "postgresql://u:secret@127.0.0.1:1/d",
            "127.0.0.1:1",
            "see that it runs",
            id="nobody there",
        ),
        pytest.param(
            "sqlite:////proc/no/such/store",
            "/proc/no/such/store",
            "give another --Store",
            id="no such folder",
        ),
    ],
)
async def test_an_unusable_database_is_named_without_its_password(
    url: str, names: str, way_out: str
) -> None:
    with pytest.raises(DatabaseError) as caught:
        await migrate(url, "reconciliation")
    said = str(caught.value)
    assert names in said and way_out in said
    assert "secret" not in said and "damaged" not in said


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(os.urandom(4096))
    with pytest.raises(DatabaseError, match=r"not a database.*move the damaged file"):
        await migrate(sqlite_url(path), "reconciliation")


@pytest.mark.parametrize("schema", ["reconciliation", "control_plane"])
async def test_a_database_that_cannot_be_written_is_told_at_the_start(
    store_url: str, schema: str
) -> None:
    await migrate(store_url, schema)
    with _read_only(store_url), pytest.raises(DatabaseError, match=r"read-?only"):
        await migrate(store_url, schema)


@contextmanager
def _read_only(url: str) -> Iterator[None]:
    """Let every new connection refuse to write, as a read-only mount or a standby does."""
    is_sqlite = url.startswith("sqlite")
    statement = "PRAGMA query_only = ON" if is_sqlite else "SET default_transaction_read_only = on"

    def forbid(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        if not is_sqlite:
            connection.commit()

    sa.event.listen(sa.Pool, "connect", forbid)
    try:
        yield
    finally:
        sa.event.remove(sa.Pool, "connect", forbid)


async def test_two_that_migrate_at_once_do_not_disturb_each_other(store_url: str) -> None:
    await asyncio.gather(*(migrate(store_url, "reconciliation") for _ in range(3)))


async def test_both_schemas_share_a_database(store_url: str) -> None:
    for _ in range(2):
        await migrate(store_url, "reconciliation")
        await migrate(store_url, "control_plane")


async def test_writers_at_once_keep_one_chain(store_url: str) -> None:
    stores = [await SqlReconciliationStore.open(store_url) for _ in range(3)]
    await asyncio.gather(
        *(
            store.remember(Memory(instance_id=f"i{number}"), entry(number), fence=1)
            for number, store in enumerate(stores * 4, 1)
        )
    )
    verdict = await stores[0].verify_audit()
    assert (verdict.intact, verdict.checked) == (True, 12)
    for store in stores:
        await store.close()


async def test_who_freezes_while_writing_is_waited_for_no_longer_than_a_lease_lives(
    postgres_url: str,
) -> None:
    frozen, other = [await SqlReconciliationStore.open(postgres_url) for _ in range(2)]
    memory = Memory(instance_id="a")
    shard = shard_of("a")
    await other.take_over({shard: 1})
    async with frozen.engine.connect() as connection:
        await connection.execute(sa.select(SHARDS).with_for_update())
        async with asyncio.timeout(LOCAL_SHARE * TTL_SECONDS):
            await other.take_over({shard: 2})
        with pytest.raises(SQLAlchemyError):
            await connection.execute(sa.update(SHARDS).values(fence=9))
    with pytest.raises(LeaseLostError):
        await frozen.remember(memory, fence=1)
    await other.remember(memory, fence=2)
    for store in (frozen, other):
        await store.close()
