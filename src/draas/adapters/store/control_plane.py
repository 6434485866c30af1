"""The control plane's store on SQL: the same statements on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from draas.adapters.store import hosts, notifications
from draas.adapters.store.control_plane_reads import SqlControlPlaneReads, dicts
from draas.adapters.store.control_plane_rows import change_row, records, write_records
from draas.adapters.store.control_plane_tables import answers, changes, instances, meta
from draas.adapters.store.engine import migrate, open_engine
from draas.adapters.store.generations import forget
from draas.contract.feed import Change
from draas.control_plane.records import (
    Answer,
    Host,
    Loaded,
    News,
    Write,
)
from draas.control_plane.store import Anew, StoreError
from draas.model.clock import Clock

MOST_NEWS = 4096
"""Who missed more changes than this reads everything."""


class SqlControlPlaneStore(SqlControlPlaneReads):
    """`draas.control_plane.store.Store` over two engines on one up to date schema.

    On SQLite one process at a time has the file: nobody else writes, and nothing is asked for that.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, epoch: str) -> None:
        super().__init__(reader)
        self.shared = writer.dialect.name != "sqlite"
        self._writer = writer
        self._epoch = epoch

    @classmethod
    async def open(cls, url: str, clock: Clock) -> SqlControlPlaneStore:
        """The store at `url`, made or migrated; a new one begins an epoch.

        Raises:
            SchemaError: the database was written by a newer release.
            DatabaseError: the database cannot be used.
        """
        await migrate(url, "control_plane")
        writer = open_engine(url)
        reader = open_engine(url, reads_only=True)
        first = {"id": 1, "epoch": clock.new_id(), "sequence": 0}
        async with reader.connect() as connection:
            epoch = await connection.scalar(select(meta.c.epoch))
        if epoch is None:
            with suppress(IntegrityError):  # another one was quicker
                async with writer.begin() as connection:
                    await connection.execute(insert(meta).values(first))
            async with reader.connect() as connection:
                epoch = (await connection.execute(select(meta.c.epoch))).scalar_one()
        return cls(writer, reader, epoch)

    async def load(self) -> Loaded:
        """Read what a control plane holds in memory."""
        async with self._connection() as connection:
            return await self._load(connection)

    async def _load(self, connection: AsyncConnection) -> Loaded:
        head = (await connection.execute(select(meta.c.epoch, meta.c.sequence))).one()
        self._epoch = head.epoch
        gone = (
            select(changes.c.instance_id, func.max(changes.c.fence))
            .where(changes.c.instance_id.not_in(select(instances.c.id)))
            .group_by(changes.c.instance_id)
        )
        known = {row[0]: row[1] for row in await connection.execute(gone)}
        fences = {instance_id: fence for instance_id, fence in known.items() if fence is not None}
        return Loaded(
            head.epoch, head.sequence, await records(connection), fences, frozenset(known)
        )

    async def write(
        self,
        writes: Sequence[Write],
        *,
        after: int,
        keep: int,
        generations: int | None = None,
        anew: Anew | None = None,
    ) -> None:
        """Write all in one transaction; the head of the change log is the compare-and-set.

        Who finds that others wrote stands in line for the head, reads what, and decides again.
        """
        async with self._connection(self._writer) as connection:
            if not await self._advance(connection, after, writes):
                if anew is None or not self.shared:
                    raise StoreError(
                        f"the change log does not stand at {after}: another control plane writes "
                        "here"
                    )
                await connection.execute(select(meta.c.sequence).with_for_update())
                news = await self._news(connection, after) or News(after, [], {})
                writes, after = anew(news), news.sequence
                if not writes:
                    return
                await self._advance(connection, after, writes)
            await write_records(connection, writes)
            if generations is not None:
                await forget(connection, writes, generations)
            if events := [change for write in writes for change in write.changes]:
                oldest = after + len(events) - keep
                await connection.execute(insert(changes), [change_row(e) for e in events])
                await connection.execute(delete(changes).where(changes.c.sequence <= oldest))
            if self.shared:
                await connection.execute(notifications.TELL)
            await connection.commit()

    async def _advance(
        self, connection: AsyncConnection, after: int, writes: Sequence[Write]
    ) -> bool:
        """Move the head of the change log from `after`, if that is where it stands."""
        last = after + sum(len(write.changes) for write in writes)
        stands = (meta.c.sequence == after) & (meta.c.epoch == self._epoch)
        head = update(meta).where(stands).values(sequence=last)
        return bool((await connection.execute(head)).rowcount)

    async def news(self, after: int) -> News | Loaded | None:
        """What others wrote; on SQLite there are none."""
        if not self.shared:
            return None
        async with self._connection() as connection:
            return await self._news(connection, after)

    async def _news(self, connection: AsyncConnection, after: int) -> News | Loaded | None:
        head = (await connection.execute(select(meta.c.epoch, meta.c.sequence))).one()
        count = head.sequence - after
        if head.epoch == self._epoch and count == 0:
            return None
        if head.epoch == self._epoch and 0 < count <= MOST_NEWS:
            between = (changes.c.sequence > after) & (changes.c.sequence <= head.sequence)
            query = select(changes).where(between).order_by(changes.c.sequence)
            found = [Change(**row) for row in dicts(await connection.execute(query))]
            if len(found) == count:
                concerned = {each.instance_id for each in found}
                now = {each.instance.id: each for each in await records(connection, concerned)}
                return News(head.sequence, found, {key: now.get(key) for key in concerned})
        return await self._load(connection)

    async def listen(self, heard: Callable[[], Awaitable[None]]) -> None:
        """By NOTIFY and by looking."""
        if self.shared:
            await notifications.listen(self._reader, heard)
        await asyncio.get_running_loop().create_future()

    async def beat(self, host_id: str, url: str, ttl: float) -> list[Host]:
        """One row, by the database's clock; who is alone is alive."""
        if not self.shared:
            return [Host(host_id, url)]
        async with self._connection(self._writer) as connection:
            found = await hosts.beat(connection, host_id, url, ttl)
            await connection.commit()
        return found

    async def forget_host(self, host_id: str) -> None:
        """Delete its row."""
        async with self._connection(self._writer) as connection:
            await hosts.forget(connection, host_id)
            await connection.commit()

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

    async def close(self) -> None:
        """Close every connection."""
        await self._writer.dispose()
        await self._reader.dispose()
