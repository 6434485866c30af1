"""The control plane's store on SQL: the same statements on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import BindParameter, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from draas.adapters.store.control_plane_tables import (
    answers,
    changes,
    configurations,
    instances,
    meta,
    slots,
)
from draas.adapters.store.engine import migrate, open_engine
from draas.contract.feed import Change
from draas.control_plane.records import Answer, Generation, Loaded, Record, Slot, Write, applied
from draas.control_plane.store import StoreError
from draas.model.clock import Clock
from draas.model.instance import Instance

CHUNK = 256
_KEY: BindParameter[str] = bindparam("key")
_RECORD_COLUMNS = (
    "port",
    "started_at",
    "stopped_at",
    "reported",
    "earlier_good_generation",
    "fence",
)


class SqlControlPlaneStore:
    """`draas.control_plane.store.Store` over two engines on one up to date schema."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, url: str, clock: Clock) -> SqlControlPlaneStore:
        """The store at `url`, made or migrated; a new one begins an epoch.

        Raises:
            SchemaError: the database was written by a newer release.
            DatabaseError: the database cannot be used.
        """
        await migrate(url, "control_plane")
        writer = open_engine(url)
        async with writer.begin() as connection:
            if (await connection.execute(select(meta.c.id))).first() is None:
                first = {"id": 1, "epoch": clock.new_id(), "sequence": 0}
                await connection.execute(insert(meta).values(first))
        return cls(writer, open_engine(url, reads_only=True))

    async def load(self) -> Loaded:
        """Read what a control plane holds in memory."""
        async with self._connection() as connection:
            head = (await connection.execute(select(meta.c.epoch, meta.c.sequence))).one()
            taken = {
                row.pop("instance_id"): Slot(**row)
                for row in _dicts(await connection.execute(select(slots)))
            }
            rows = _dicts(await connection.execute(select(instances).order_by(instances.c.id)))
            gone = (
                select(changes.c.instance_id, func.max(changes.c.fence))
                .where(changes.c.fence.is_not(None))
                .where(changes.c.instance_id.not_in(select(instances.c.id)))
                .group_by(changes.c.instance_id)
            )
            fences = {row[0]: row[1] for row in await connection.execute(gone)}
        records = [_record(row, taken) for row in rows]
        return Loaded(head.epoch, head.sequence, records, fences)

    async def write(self, writes: Sequence[Write], *, after: int, keep: int) -> None:
        """Write all in one transaction; the head of the change log is the compare-and-set."""
        events = [change for write in writes for change in write.changes]
        last = after + len(events)
        async with self._connection(self._writer) as connection:
            head = update(meta).where(meta.c.sequence == after).values(sequence=last)
            if (await connection.execute(head)).rowcount != 1:
                raise StoreError(
                    f"the change log does not stand at {after}: another control plane writes here"
                )
            await _write_records(connection, writes)
            if events:
                await connection.execute(insert(changes), [_change_row(e) for e in events])
                await connection.execute(delete(changes).where(changes.c.sequence <= last - keep))
            await connection.commit()

    async def configuration(self, instance_id: str, generation: int) -> Generation | None:
        """One generation of a configuration."""
        query = select(configurations).where(
            configurations.c.instance_id == instance_id,
            configurations.c.generation == generation,
        )
        async with self._connection() as connection:
            rows = _dicts(await connection.execute(query))
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
            rows = _dicts(await connection.execute(query))
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
                rows = [Generation(**row) for row in _dicts(await connection.execute(page))]
            for row in rows:
                yield row
            if len(rows) < CHUNK:
                return
            after = rows[-1].instance_id

    async def changes(self, after: int, limit: int) -> list[Change]:
        """At most `limit` changes after a sequence, ascending."""
        query = select(changes).where(changes.c.sequence > after).order_by(changes.c.sequence)
        async with self._connection() as connection:
            rows = _dicts(await connection.execute(query.limit(limit)))
        return [Change(**row) for row in rows]

    async def changes_since(self, at: str, new_status: str | None) -> list[Change]:
        """Changes with a new status that happened at or after `at`, ascending."""
        query = select(changes).where(changes.c.at >= at, changes.c.new_status.is_not(None))
        if new_status is not None:
            query = query.where(changes.c.new_status == new_status)
        async with self._connection() as connection:
            rows = _dicts(await connection.execute(query.order_by(changes.c.sequence)))
        return [Change(**row) for row in rows]

    async def answer(self, instance_id: str, key: str) -> Answer | None:
        """The answer to a key."""
        query = select(*(answers.c[name] for name in Answer.__struct_fields__)).where(
            answers.c.instance_id == instance_id, answers.c.key == key
        )
        async with self._connection() as connection:
            rows = _dicts(await connection.execute(query))
        return next((Answer(**row) for row in rows), None)

    async def keep_answer(self, instance_id: str, answer: Answer, most: int) -> None:
        """One more answer, and none that is older than the newest `most`."""
        own = answers.c.instance_id == instance_id
        older = select(answers.c.number).where(own).order_by(answers.c.number.desc())
        beyond = older.offset(most).limit(1).scalar_subquery()
        row = {"instance_id": instance_id} | msgspec.structs.asdict(answer)
        async with self._connection(self._writer) as connection:
            try:
                await connection.execute(insert(answers), row)
            except IntegrityError:
                return
            await connection.execute(delete(answers).where(own, answers.c.number <= beyond))
            await connection.commit()

    async def ping(self) -> None:
        """Read one row."""
        async with self._connection() as connection:
            await connection.execute(select(meta.c.sequence))

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()

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


def _dicts(result: Any) -> Iterable[dict[str, Any]]:
    return [dict(row) for row in result.mappings()]


def _record(row: dict[str, Any], taken: dict[str, Slot]) -> Record:
    rest = {name: row.pop(name) for name in _RECORD_COLUMNS}
    slot = taken.get(row["id"])
    return Record(instance=Instance(**row, **applied(slot)), slot=slot, **rest)


def _row(record: Record) -> dict[str, Any]:
    row = msgspec.structs.asdict(record.instance)
    for name in (*applied(None), "operation"):
        del row[name]
    return row | {name: getattr(record, name) for name in _RECORD_COLUMNS}


def _change_row(change: Change) -> dict[str, Any]:
    row = msgspec.structs.asdict(change)
    del row["state"]
    return row


async def _write_records(connection: AsyncConnection, writes: Sequence[Write]) -> None:
    """The writes in a few statements, however many: each one is a trip to SQLite's thread."""
    last: dict[str, Record | None] = {}
    made: dict[str, list[Generation]] = {}
    deleted: dict[str, None] = {}
    for write in writes:
        last[write.instance_id] = write.record
        if write.record is None:
            deleted[write.instance_id] = None
            made.pop(write.instance_id, None)
        elif write.generation is not None:
            made.setdefault(write.instance_id, []).append(write.generation)
    kept = {key: record for key, record in last.items() if record is not None}
    found = await connection.execute(select(instances.c.id).where(instances.c.id.in_(list(last))))
    present = {row.id for row in found} - deleted.keys()
    taken = [(key, record.slot) for key, record in kept.items() if record.slot is not None]
    for statement, rows in (
        (delete(instances).where(instances.c.id == _KEY), _keys(deleted)),
        (insert(instances), [_row(kept[key]) for key in kept if key not in present]),
        (
            update(instances).where(instances.c.id == _KEY),
            [_row(kept[key]) | {_KEY.key: key} for key in kept if key in present],
        ),
        (
            insert(configurations),
            [msgspec.structs.asdict(each) for every in made.values() for each in every],
        ),
        (delete(slots).where(slots.c.instance_id == _KEY), _keys(kept)),
        (
            insert(slots),
            [{"instance_id": key} | msgspec.structs.asdict(slot) for key, slot in taken],
        ),
    ):
        if rows:
            await connection.execute(statement, rows)


def _keys(keys: Iterable[str]) -> list[dict[str, Any]]:
    return [{_KEY.key: key} for key in keys]
