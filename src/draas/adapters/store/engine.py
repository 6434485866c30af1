"""SQLite as both processes use it: WAL, every commit on disk, migrated before the first use."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database was written by a newer release; this one would damage it."""


def sqlite_engine(path: Path, *, reads_only: bool = False) -> AsyncEngine:
    """An engine on `path` whose commits survive kill -9 and a power cut (synchronous=FULL).

    One that only reads takes no write lock, so it never waits for a writer.
    """
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)
    event.listen(engine.sync_engine, "connect", configure)
    if not reads_only:
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


async def migrate(path: Path, schema: str) -> None:
    """Bring the database at `path` to the newest revision of `schema`, making it if missing.

    Raises:
        SchemaError: it has a revision that this release does not know.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if await asyncio.to_thread(_revision, path) == newest(schema):
        return
    # Alembic costs 10 MiB and a tenth of a second, which most starts do without.
    from draas.adapters.store.upgrade import upgrade  # noqa: PLC0415

    await asyncio.to_thread(upgrade, path, schema)


def newest(schema: str) -> str:
    """The newest revision of `schema`, told by the files' names alone."""
    last = max(file.stem for file in (MIGRATIONS / schema).glob("[0-9]*.py"))
    return f"{schema}_{last.partition('_')[0]}"


def _revision(path: Path) -> str | None:
    """The revision of the database at `path`; `None` if it has none, or is none."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None


def configure(connection: Any, _record: Any) -> None:
    """Set up a new connection, as a listener of SQLAlchemy's `connect`."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=5000",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    """Take the write lock first: what reads and then writes must not fail half way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
