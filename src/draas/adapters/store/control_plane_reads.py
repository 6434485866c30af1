"""What the control plane's store answers without writing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from draas.adapters.store.control_plane_tables import (
    answers,
    changes,
    configurations,
    instances,
    meta,
)
from draas.contract.feed import Change
from draas.control_plane.records import Answer, Generation
from draas.control_plane.store import StoreError

CHUNK = 256


class SqlControlPlaneReads:
    """The reading half of `draas.control_plane.store.Store`."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def configuration(self, instance_id: str, generation: int) -> Generation | None:
        """One generation of a configuration."""
        query = select(configurations).where(
            configurations.c.instance_id == instance_id,
            configurations.c.generation == generation,
        )
        async with self._connection() as connection:
            rows = dicts(await connection.execute(query))
        return next((Generation(**row) for row in rows), None)

    async def generations(self, instance_id: str) -> list[Generation]:
        """All generations of an instance, newest first, without their documents."""
        columns = [column for column in configurations.c if column.name != "document"]
        query = (
            select(*columns)
            .where(configurations.c.instance_id == instance_id)
            .order_by(configurations.c.generation.desc())
        )
        async with self._connection() as connection:
            rows = dicts(await connection.execute(query))
        return [Generation(document=b"", **row) for row in rows]

    async def configurations(self) -> AsyncIterator[Generation]:
        """Every instance's present configuration, `CHUNK` rows a query."""
        current = and_(
            instances.c.id == configurations.c.instance_id,
            instances.c.generation == configurations.c.generation,
        )
        query = (
            select(configurations)
            .join(instances, current)
            .order_by(configurations.c.instance_id)
            .limit(CHUNK)
        )
        after = ""
        while True:
            async with self._connection() as connection:
                page = query.where(configurations.c.instance_id > after)
                rows = [Generation(**row) for row in dicts(await connection.execute(page))]
            for row in rows:
                yield row
            if len(rows) < CHUNK:
                return
            after = rows[-1].instance_id

    async def changes(self, after: int, limit: int) -> list[Change]:
        """At most `limit` changes after a sequence, ascending."""
        query = select(changes).where(changes.c.sequence > after).order_by(changes.c.sequence)
        async with self._connection() as connection:
            rows = dicts(await connection.execute(query.limit(limit)))
        return [Change(**row) for row in rows]

    async def changes_since(self, at: str, new_status: str | None) -> list[Change]:
        """Changes with a new status that happened at or after `at`, ascending."""
        query = select(changes).where(changes.c.at >= at, changes.c.new_status.is_not(None))
        if new_status is not None:
            query = query.where(changes.c.new_status == new_status)
        async with self._connection() as connection:
            rows = dicts(await connection.execute(query.order_by(changes.c.sequence)))
        return [Change(**row) for row in rows]

    async def answer(self, instance_id: str, key: str) -> Answer | None:
        """The answer to a key."""
        query = select(*(answers.c[name] for name in Answer.__struct_fields__)).where(
            answers.c.instance_id == instance_id, answers.c.key == key
        )
        async with self._connection() as connection:
            rows = dicts(await connection.execute(query))
        return next((Answer(**row) for row in rows), None)

    async def ping(self) -> None:
        """Read one row."""
        async with self._connection() as connection:
            await connection.execute(select(meta.c.sequence))

    @asynccontextmanager
    async def _connection(
        self, engine: AsyncEngine | None = None
    ) -> AsyncIterator[AsyncConnection]:
        try:
            async with (engine or self._reader).connect() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(f"the store failed: {type(cause).__name__}: {_brief(cause)}") from None


def _brief(error: BaseException) -> str:
    """The driver's sentence; SQLAlchemy's own would repeat the statement with its values."""
    return str(error).splitlines()[0][:200] if not isinstance(error, SQLAlchemyError) else "refused"


def dicts(result: Any) -> Iterable[dict[str, Any]]:
    """The rows of a result by their columns' names."""
    return [dict(row) for row in result.mappings()]
