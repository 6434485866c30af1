"""SQLite and PostgreSQL as both processes use them: durable, and migrated before use."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from draas.settings.store_url import URLS

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_SECONDS = 5
PAUSE_MILLISECONDS = 2500
"""After so long without a word in the middle of a transaction, PostgreSQL takes it back.

Who froze there holds locks that the others wait for, and they must still be heard of by the time
their own leases end.
"""
_MIGRATION_LOCK = 0x64726161
"""The key under which PostgreSQL lets one process migrate at a time."""


class SchemaError(Exception):
    """The database was written by a newer release; this one would damage it."""


class DatabaseError(Exception):
    """The database cannot be used: unreachable, read-only, refused."""


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{path}"


def sqlite_file(url: str) -> Path | None:
    """The file that the URL names, `None` for another kind of database."""
    parsed = make_url(url)
    is_file = parsed.get_backend_name() == "sqlite"
    return Path(parsed.database) if is_file and parsed.database else None


def open_engine(url: str, *, reads_only: bool = False) -> AsyncEngine:
    """An engine on `sqlite:////PATH` or `postgresql://…`, whose commits survive kill -9.

    SQLite commits to the disk each time (synchronous=FULL); one that only reads takes no write
    lock. PostgreSQL connections are tried before use, so that a restart of it is survived, and a
    transaction that pauses is taken back.

    Raises:
        DatabaseError: the URL names another kind of database.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            engine = create_async_engine(
                parsed.set(drivername="sqlite+aiosqlite"), hide_parameters=True
            )
            event.listen(engine.sync_engine, "connect", _configure_sqlite)
            if not reads_only:
                event.listen(engine.sync_engine, "begin", _begin_immediate)
            return engine
        case "postgresql":
            return create_async_engine(
                parsed.set(drivername="postgresql+asyncpg"),
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={
                    "timeout": CONNECT_SECONDS,
                    "server_settings": {
                        "idle_in_transaction_session_timeout": str(PAUSE_MILLISECONDS)
                    },
                },
            )
        case other:
            raise DatabaseError(f"{other!r} is no database that can be used here; give {URLS}")


async def migrate(url: str, schema: str) -> None:
    """Bring a database to the newest revision of `schema`, making it if missing.

    Raises:
        SchemaError: it has a revision that this release does not know.
        DatabaseError: it cannot be reached or written.
    """
    parsed, engine = make_url(url), open_engine(url)
    try:
        if (file := sqlite_file(url)) is not None:
            _make_private(file)
        async with engine.begin() as connection:
            await connection.run_sync(_migrate, schema, parsed.render_as_string())
    except (SQLAlchemyError, OSError, sqlite3.Error, TimeoutError) as error:
        raise DatabaseError(
            f"{parsed.render_as_string()} cannot be used as a database ({_cause(error)}); "
            f"{_way_out(error, is_file=sqlite_file(url) is not None)}"
        ) from error
    finally:
        await engine.dispose()


def told(engine: AsyncEngine, error: Exception) -> str:
    """Which database failed and why, in one line, without a password."""
    return f"at {engine.url.render_as_string()}: {_cause(error)}"


def _cause(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(cause).__name__])[0]


def _way_out(error: BaseException, *, is_file: bool) -> str:
    if not is_file:
        return "see that it runs, can be reached from here and lets this user write"
    cause = getattr(error, "orig", None) or error
    is_fault_of_place = isinstance(cause, sqlite3.OperationalError | OSError)
    if isinstance(cause, sqlite3.DatabaseError) and not is_fault_of_place:
        return "move the damaged file away to begin anew, or restore a backup"
    return "see that its folder is there and can be written, or give another --Store"


def _make_private(file: Path) -> None:
    """Configurations hold secrets, whoever may look into the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)


def _migrate(connection: sa.Connection, schema: str, shown_url: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    present, own, name = _revision(connection, schema), newest(schema), version_table(schema)
    if present is not None and present >= own:
        if present > own and not _is_spared(connection, schema):
            raise SchemaError(unknown(shown_url, present))
        # What is read-only is told now, and not when it is too late.
        connection.execute(sa.text(f"UPDATE {name} SET version_num = version_num"))
        return
    # Alembic costs 10 MiB and a tenth of a second, which most starts do without.
    from draas.adapters.store.upgrade import upgrade  # noqa: PLC0415

    upgrade(connection, schema, shown_url)


def newest(schema: str) -> str:
    """The newest revision of `schema`, told by the files' names alone."""
    last = max(file.stem for file in (MIGRATIONS / schema).glob("[0-9]*.py"))
    return f"{schema}_{last.partition('_')[0]}"


def _revision(connection: sa.Connection, schema: str) -> str | None:
    name = version_table(schema)
    if not sa.inspect(connection).has_table(name):
        return None
    revision: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {name}"))
    return revision


def _is_spared(connection: sa.Connection, schema: str) -> bool:
    """Whether the newer release that wrote the schema says that this one still works on it."""
    name = oldest_table(schema)
    if not sa.inspect(connection).has_table(name):
        return False
    oldest: str | None = connection.scalar(sa.text(f"SELECT revision FROM {name}"))
    return oldest is not None and oldest <= newest(schema)


def unknown(shown_url: str, revision: str) -> str:
    """What to say of a database that this release would damage."""
    return (
        f"{shown_url} has schema {revision!r}, which this release does not know: "
        "it was written by a newer one; upgrade, or restore a backup"
    )


def oldest_table(schema: str) -> str:
    """Where it is kept which releases still work on a schema."""
    return f"{schema}_oldest"


def version_table(schema: str) -> str:
    """Where the revision of a schema is kept; both schemas may share a database."""
    return f"{schema}_version"


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=15000",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: sa.Connection) -> None:
    """Take the write lock first: what reads and then writes must not fail half way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
