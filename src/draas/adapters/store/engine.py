"""SQLite as both processes use it: WAL, every commit on disk, migrated before the first use."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The file cannot be used: no database, damaged, or written by a newer release."""


def sqlite_engine(path: Path, *, reads_only: bool = False) -> AsyncEngine:
    """An engine on `path` whose commits survive kill -9 and a power cut (synchronous=FULL).

    One that only reads takes no write lock, so it never waits for a writer.
    """
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _configure)
    if not reads_only:
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


async def migrate(path: Path, schema: str) -> None:
    """Bring the database at `path` to the newest revision of `schema`, making it if missing.

    Raises:
        SchemaError: it is no sound database, or has a revision that this release does not know.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        await asyncio.to_thread(_migrate, path, schema)
    except SQLAlchemyError as error:
        why = getattr(error, "orig", None) or error
        raise SchemaError(
            f"{path} cannot be used as a database ({why}); move it away to begin anew, or restore "
            "a backup"
        ) from error


def _migrate(path: Path, schema: str) -> None:
    path.touch(mode=0o600)  # Configurations hold secrets, whoever may look into the folder.
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(MIGRATIONS / schema))
    config.set_main_option("path_separator", "newline")
    known = ScriptDirectory.from_config(config)
    engine = sa.create_engine(f"sqlite:///{path}", hide_parameters=True)
    event.listen(engine, "connect", _configure)
    try:
        with engine.begin() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
            revisions = {script.revision for script in known.walk_revisions()}
            if present is not None and present not in revisions:
                raise SchemaError(
                    f"{path} has schema {present!r}, which this release does not know: "
                    "it was written by a newer one; upgrade, or restore a backup"
                )
            if present != known.get_current_head():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    finally:
        engine.dispose()


def _configure(connection: Any, _record: Any) -> None:
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
