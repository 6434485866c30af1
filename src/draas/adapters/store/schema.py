"""Open a SQL store: engine settings, migrations, and the refusal of a newer schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_TIMEOUT_MS = 5000


class SchemaError(Exception):
    """The store was written by a newer version of this program."""


def sqlite_engine(file: Path) -> AsyncEngine:
    """An engine on a file that survives kill -9 and power loss: WAL with synchronous=FULL."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    event.listen(engine.sync_engine, "connect", _pragmas)
    return engine


async def migrate(engine: AsyncEngine, location: str) -> None:
    """Bring the schema up to the newest migration of `location` (`package:path`).

    Raises:
        SchemaError: the schema is newer than this program; nothing was changed.
    """
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade, location)


def _upgrade(connection: Connection, location: str) -> None:
    config = Config()
    config.set_main_option("script_location", location)
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(current)
        except CommandError:
            raise SchemaError(
                f"the store {connection.engine.url.database} has schema {current}, which this "
                "version does not know: it was written by a newer draas; upgrade this one"
            ) from None
    command.upgrade(config, "head")


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()
