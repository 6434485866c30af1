"""Migrations go forward, keep what is there, and spare the release before; one goes back."""

import importlib.util
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.ext.asyncio import AsyncConnection

from draas.adapters.store import engine
from draas.adapters.store.engine import (
    MIGRATIONS,
    SchemaError,
    migrate,
    newest,
    open_engine,
    sqlite_url,
    version_table,
)
from draas.adapters.store.upgrade import OLDEST, configured

FILES = sorted(MIGRATIONS.glob("*/[0-9]*.py"))
SCHEMAS = sorted({file.parent.name for file in FILES})


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_revision_is_its_schema_and_the_number_of_its_file(file: Path) -> None:
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    number = re.match(r"\d+", file.stem)
    assert number is not None
    assert module.revision == f"{file.parent.name}_{number.group()}"


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_migrated_database_is_at_the_newest_revision(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "store.sqlite"
    await migrate(sqlite_url(path), schema)
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT * FROM {version_table(schema)}").fetchall()
    assert found == [(newest(schema),)]


STEPS = [
    (file.parent.name, f"{file.parent.name}_{file.name[:4]}")
    for file in FILES
    if not file.name.startswith("0001")
]
SAMPLES: dict[type[sa.types.TypeEngine[Any]], Any] = {
    sa.Integer: 1,
    sa.BigInteger: 1,
    sa.Float: 1.5,
    sa.LargeBinary: b"x",
    sa.JSON: {"x": "y"},
    sa.String: "x",
}


def sample(table: sa.Table, number: int) -> dict[str, Any]:
    """A row with a value in each column; those with the same number belong together."""
    row: dict[str, Any] = {}
    for column in table.columns:
        value = next(value for kind, value in SAMPLES.items() if isinstance(column.type, kind))
        keyed = column.primary_key or column.foreign_keys or column.name == "id"
        if keyed:
            value = number if isinstance(value, int) else f"x{number}"
        row[column.name] = value
    return row


class Database:
    """A database under migration, as the release of a revision knows it."""

    def __init__(self, connection: AsyncConnection, schema: str) -> None:
        self._connection, self._schema = connection, schema
        self.tables: list[sa.Table] = []

    async def to(self, revision: str) -> None:
        """Migrate to a revision, forward or back."""

        def run(connection: sa.Connection) -> None:
            step = command.downgrade if revision == "-1" else command.upgrade
            step(configured(connection, self._schema), revision)

        await self._connection.run_sync(run)

    async def remember(self) -> None:
        """Know the tables as they are now, as the code of that release does."""
        metadata = sa.MetaData()
        await self._connection.run_sync(metadata.reflect)
        ours = {version_table(self._schema), "audit_chain"}
        self.tables = [each for each in metadata.sorted_tables if each.name not in ours]

    async def insert(self, number: int) -> None:
        for table in self.tables:
            await self._connection.execute(sa.insert(table).values(sample(table, number)))

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            table.name: sorted(
                tuple(row) for row in await self._connection.execute(sa.select(table))
            )
            for table in self.tables
        }

    async def change_all(self) -> None:
        """Update and delete what the number 2 stands for."""
        for table in reversed(self.tables):
            own = [each == sample(table, 2)[each.name] for each in table.primary_key.columns]
            await self._connection.execute(sa.update(table).where(*own).values(sample(table, 2)))
            await self._connection.execute(sa.delete(table).where(*own))


@pytest.fixture
async def connection(store_url: str) -> AsyncIterator[AsyncConnection]:
    made = open_engine(store_url)
    async with made.begin() as connection:
        yield connection
    await made.dispose()


def before(revision: str) -> str:
    schema, _, number = revision.rpartition("_")
    return f"{schema}_{int(number) - 1:04}"


@pytest.mark.parametrize(("schema", "revision"), STEPS)
async def test_a_step_forward_and_back_keeps_all_and_the_release_before_works_on(
    connection: AsyncConnection, schema: str, revision: str
) -> None:
    database = Database(connection, schema)
    await database.to(before(revision))
    await database.remember()
    await database.insert(1)
    written = await database.rows()
    await database.to(revision)
    assert await database.rows() == written, "nothing is lost on the way forward"
    await database.insert(2)
    await database.change_all()
    assert await database.rows() == written, "statements of the release before do what they did"
    await database.to("-1")
    assert await database.rows() == written, "nothing is lost on the way back"


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_the_oldest_release_that_is_spared_works_on_the_newest_schema(
    connection: AsyncConnection, schema: str
) -> None:
    database = Database(connection, schema)
    await database.to(OLDEST[schema])
    await database.remember()
    await database.to("head")
    await database.insert(1)
    await database.insert(2)
    await database.change_all()


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_release_that_is_spared_starts_on_a_newer_schema(
    store_url: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(store_url, schema)
    monkeypatch.setattr(engine, "newest", lambda _: OLDEST[schema])
    await migrate(store_url, schema)
    monkeypatch.setattr(engine, "newest", lambda _: f"{schema}_0000")
    with pytest.raises(SchemaError, match="newer"):
        await migrate(store_url, schema)
