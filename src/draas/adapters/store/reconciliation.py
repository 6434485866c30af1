"""The daemon's store on SQL: the same statements on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from draas.adapters.store import audit_chain
from draas.adapters.store.engine import migrate, open_engine, told
from draas.adapters.store.reconciliation_tables import (
    AUDIT,
    CHAIN,
    MEMORIES,
    OPERATION_EVENTS,
    OPERATIONS,
    SHARDS,
)
from draas.decide.assign import shard_of
from draas.model.audit import AuditEntry, chained, told_once
from draas.model.clock import timestamp
from draas.model.reconciliation import Memory, Operation
from draas.reconciliation.store import (
    AuditQuery,
    AuditVerdict,
    Inheritance,
    LeaseLostError,
    OperationEvent,
    StoreError,
    event_of,
)

T = TypeVar("T")


class SqlReconciliationStore:
    """`draas.reconciliation.store.ReconciliationStore` on an engine whose schema is in place."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    async def open(cls, url: str) -> SqlReconciliationStore:
        """The store at `url`, made or migrated as needed.

        Raises:
            SchemaError: the database was written by a newer release.
            DatabaseError: the database cannot be used.
        """
        await migrate(url, "reconciliation")
        return cls(open_engine(url))

    async def take_over(self, fences: Mapping[int, int]) -> Inheritance:
        """See the port."""
        shards = list(fences)
        async with self._transaction() as connection:
            known = await connection.execute(
                sa.select(SHARDS).where(SHARDS.c.shard.in_(shards)).with_for_update()
            )
            seen = {row.shard: row.fence for row in known}
            _refuse_older({shard: fences[shard] for shard in seen}, seen)
            for shard, fence in fences.items():
                row = {"shard": shard, "fence": fence}
                await connection.execute(
                    sa.update(SHARDS).where(SHARDS.c.shard == shard).values(row)
                    if shard in seen
                    else sa.insert(SHARDS).values(row)
                )
            await _place_in_shards(connection)
            kept: dict[type, list[Any]] = {Memory: [], Operation: []}
            for table, kind in ((MEMORIES, Memory), (OPERATIONS, Operation)):
                rows = await connection.execute(
                    sa.select(table.c.document).where(table.c.shard.in_(shards))
                )
                kept[kind] = [_decode(document, kind) for (document,) in rows]
        return Inheritance(tuple(kept[Memory]), tuple(kept[Operation]))

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        """See the port."""
        row = {
            "instance_id": operation.instance_id,
            "id": operation.id,
            "phase": operation.phase.value,
            "document": _encode(operation),
            "shard": shard_of(operation.instance_id),
            "fence": operation.fence,
        }
        async with self._fenced(operation.instance_id, operation.fence) as connection:
            await _upsert(connection, OPERATIONS, row)
            await _note(connection, operation)
            await _append(connection, entries)

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        """See the port."""
        async with self._fenced(operation.instance_id, operation.fence) as connection:
            await connection.execute(sa.delete(OPERATIONS).where(OPERATIONS.c.id == operation.id))
            await _note(connection, operation)
            await _upsert(connection, MEMORIES, _memory_row(memory))
            await _append(connection, entries)

    async def remember(self, memory: Memory, *entries: AuditEntry, fence: int) -> None:
        """See the port."""
        async with self._fenced(memory.instance_id, fence) as connection:
            await _upsert(connection, MEMORIES, _memory_row(memory))
            await _append(connection, entries)

    async def forget(self, instance_id: str, *entries: AuditEntry, fence: int) -> None:
        """See the port."""
        async with self._fenced(instance_id, fence) as connection:
            for table in (OPERATIONS, MEMORIES):
                await connection.execute(sa.delete(table).where(table.c.instance_id == instance_id))
            await _append(connection, entries)

    async def operation_events(self, operation_id: str) -> list[OperationEvent]:
        """See the port."""
        own = sa.select(OPERATION_EVENTS.c.document).where(
            OPERATION_EVENTS.c.operation_id == operation_id
        )
        async with self._transaction() as connection:
            rows = await connection.execute(own.order_by(OPERATION_EVENTS.c.number))
            return [_decode(document, OperationEvent) for (document,) in rows]

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """See the port."""
        statement = sa.select(AUDIT.c.document).order_by(AUDIT.c.sequence.desc())
        for column in ("instance_id", "outcome", "operation_id"):
            wanted = getattr(query, column)
            if wanted is not None:
                statement = statement.where(AUDIT.c[column] == wanted)
        if query.since is not None:
            statement = statement.where(AUDIT.c.timestamp >= query.since)
        if query.until is not None:
            statement = statement.where(AUDIT.c.timestamp < query.until)
        if query.before is not None:
            statement = statement.where(AUDIT.c.sequence < query.before)
        async with self._transaction() as connection:
            rows = await connection.execute(statement.limit(query.limit))
            return [_decode(document, AuditEntry) for (document,) in rows]

    async def verify_audit(self) -> AuditVerdict:
        """See the port."""
        return await audit_chain.verified(self._transaction)

    async def expire_audit(self, before: datetime) -> int:
        """See the port."""
        old = sa.select(AUDIT.c.sequence, AUDIT.c.document).order_by(AUDIT.c.sequence)
        async with self._transaction() as connection:
            rows = await connection.execute(old.where(AUDIT.c.timestamp < timestamp(before)))
            expired = [(sequence, document) for sequence, document in rows]
            old_events = OPERATION_EVENTS.c.at < timestamp(before)
            await connection.execute(sa.delete(OPERATION_EVENTS).where(old_events))
            if not expired:
                return 0
            sequence, document = expired[-1]
            await connection.execute(sa.delete(AUDIT).where(AUDIT.c.sequence <= sequence))
            row = {"name": "anchor", "sequence": sequence, "hash": json.loads(document)["hash"]}
            await _upsert(connection, CHAIN, row)
        return len(expired)

    async def close(self) -> None:
        """See the port."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _fenced(self, instance_id: str, fence: int) -> AsyncIterator[AsyncConnection]:
        """A transaction during which nobody can take the instance's shard over."""
        shard = shard_of(instance_id)
        held = sa.select(SHARDS.c.fence).where(SHARDS.c.shard == shard)
        async with self._transaction() as connection:
            seen = (await connection.execute(held.with_for_update(read=True))).scalar()
            _refuse_older({shard: fence}, {} if seen is None else {shard: seen})
            yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self.engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the daemon's store {told(self.engine, error)}") from error


def _refuse_older(given: Mapping[int, int], seen: Mapping[int, int]) -> None:
    for shard, fence in given.items():
        if fence < seen.get(shard, 0):
            raise LeaseLostError(
                f"shard {shard} was taken over: fence {fence} is older than {seen[shard]}"
            )


async def _place_in_shards(connection: AsyncConnection) -> None:
    """Give what an older release wrote its shard."""
    for table in (MEMORIES, OPERATIONS):
        nowhere = sa.select(table.c.instance_id).where(table.c.shard.is_(None))
        for (instance_id,) in (await connection.execute(nowhere)).all():
            here = sa.update(table).where(table.c.instance_id == instance_id)
            await connection.execute(here.values(shard=shard_of(instance_id)))


async def _note(connection: AsyncConnection, operation: Operation) -> None:
    event = event_of(operation)
    row = {"operation_id": event.operation_id, "at": event.at, "document": _encode(event)}
    await connection.execute(sa.insert(OPERATION_EVENTS).values(row))


async def _append(connection: AsyncConnection, entries: tuple[AuditEntry, ...]) -> None:
    if not entries:
        return
    sequence, previous = await _end_of_chain(connection, "head")
    for entry in entries:
        if await _has_told(connection, entry):
            continue
        sequence += 1
        placed = chained(entry, sequence, previous)
        previous = placed.hash
        row = {
            "sequence": sequence,
            "instance_id": placed.instance_id,
            "timestamp": placed.timestamp,
            "outcome": placed.outcome,
            "operation_id": placed.operation_id,
            "document": json.dumps(asdict(placed)),
        }
        await connection.execute(sa.insert(AUDIT).values(row))
    await _upsert(connection, CHAIN, {"name": "head", "sequence": sequence, "hash": previous})


async def _has_told(connection: AsyncConnection, entry: AuditEntry) -> bool:
    """Whether the operation has its beginning, or its end, already."""
    outcomes = told_once(entry.outcome)
    if entry.operation_id is None or not outcomes:
        return False
    told = sa.select(AUDIT.c.sequence).where(
        AUDIT.c.operation_id == entry.operation_id, AUDIT.c.outcome.in_(outcomes)
    )
    return (await connection.execute(told.limit(1))).first() is not None


async def _end_of_chain(connection: AsyncConnection, name: str) -> tuple[int, str]:
    """The end, held until the transaction ends: entries are chained one after the other."""
    end = sa.select(CHAIN.c.sequence, CHAIN.c.hash).where(CHAIN.c.name == name)
    rows = await connection.execute(end.with_for_update())
    found = rows.one()
    return found.sequence, found.hash


async def _upsert(connection: AsyncConnection, table: sa.Table, row: dict[str, Any]) -> None:
    """Write the row over one with the same key, by statements that every database has."""
    key = next(iter(table.primary_key.columns))
    updated = await connection.execute(sa.update(table).where(key == row[key.name]).values(row))
    if not updated.rowcount:
        await connection.execute(sa.insert(table).values(row))


def _memory_row(memory: Memory) -> dict[str, Any]:
    return {
        "instance_id": memory.instance_id,
        "document": _encode(memory),
        "shard": shard_of(memory.instance_id),
    }


def _encode(value: Memory | Operation | OperationEvent) -> str:
    return msgspec.json.encode(value).decode()


def _decode(document: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise StoreError(f"the store holds a {kind.__name__} of no sense: {error}") from error
