"""Leases on SQL: the same statements on SQLite and PostgreSQL, by the database's clock.

A lease lives as long as its holder's row in `members` does, so that a beat is one row whatever is
held. Two members can believe in one lease for as long as a beat at most; the fences decide then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from draas.adapters.store.engine import told
from draas.adapters.store.reconciliation_tables import LEASES, MEMBERS
from draas.model.clock import Clock
from draas.reconciliation.leases import Member, Standing
from draas.reconciliation.store import StoreError

_NOBODY = ""
_INSERT = sa.text(
    f"INSERT INTO {LEASES.name} (name, holder, fence) VALUES (:name, :holder, :fence) "
    "ON CONFLICT DO NOTHING"
)
"""As a text, as the builders of both dialects cost 2 MiB."""


class SqlLeases:
    """`draas.reconciliation.leases.Leases` on an engine whose schema is in place.

    On SQLite one process at a time has the file, by a lock: what an earlier one left is cleared at
    the first beat, nothing is waited for, and a beat writes only news. There the clock is the
    machine's, and a member that is alone never expires.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self.exclusive = engine.dialect.name == "sqlite"
        self._engine = engine
        self._clock = clock

    async def beat(self, me: Member, ttl: float) -> Standing:
        """See the port."""
        async with self._transaction() as connection:
            members = await self._members(connection)
            if not (self.exclusive and members == (me,)):
                await self._enter(connection, me, ttl)
                members = await self._members(connection)
            held = await connection.execute(
                sa.select(LEASES.c.name, LEASES.c.fence).where(LEASES.c.holder == me.id)
            )
            return Standing(members, {found.name: found.fence for found in held})

    async def acquire(self, member_id: str, names: Collection[str]) -> dict[str, int]:
        """See the port."""
        taken: dict[str, int] = {}
        async with self._transaction() as connection:
            now = await self._now(connection)
            live = sa.select(MEMBERS.c.id).where(MEMBERS.c.expires_at > now)
            rows = await self._locked(connection, names)
            alive = {row.id for row in await connection.execute(live)} - {member_id}
            for row in rows:
                if row.holder in alive:
                    continue
                fence = max(row.fence + 1, int(now * 1000))
                own = sa.update(LEASES).where(LEASES.c.name == row.name)
                await connection.execute(own.values(holder=member_id, fence=fence))
                taken[row.name] = fence
        return taken

    async def _locked(
        self, connection: AsyncConnection, names: Collection[str]
    ) -> Sequence[sa.Row[Any]]:
        """The rows of the names, made where missing; in one order, lest two wait for each other."""
        free = [{"name": name, "holder": _NOBODY, "fence": 0} for name in sorted(names)]
        await connection.execute(_INSERT, free)
        rows = sa.select(LEASES).where(LEASES.c.name.in_(list(names))).order_by(LEASES.c.name)
        return (await connection.execute(rows.with_for_update())).all()

    async def release(self, member_id: str, names: Collection[str]) -> None:
        """See the port."""
        async with self._transaction() as connection:
            own = (LEASES.c.holder == member_id) & LEASES.c.name.in_(list(names))
            await connection.execute(sa.update(LEASES).where(own).values(holder=_NOBODY))

    async def leave(self, member_id: str) -> None:
        """See the port."""
        async with self._transaction() as connection:
            own = LEASES.c.holder == member_id
            await connection.execute(sa.update(LEASES).where(own).values(holder=_NOBODY))
            await connection.execute(sa.delete(MEMBERS).where(MEMBERS.c.id == member_id))

    async def _members(self, connection: AsyncConnection) -> tuple[Member, ...]:
        every = sa.select(MEMBERS.c.id, MEMBERS.c.url, MEMBERS.c.told).order_by(MEMBERS.c.id)
        return tuple(Member(*row) for row in await connection.execute(every))

    async def _enter(self, connection: AsyncConnection, me: Member, ttl: float) -> None:
        now = await self._now(connection)
        others = MEMBERS.c.id != me.id
        over = others if self.exclusive else others & (MEMBERS.c.expires_at <= now)
        await connection.execute(sa.delete(MEMBERS).where(over))
        row = {"id": me.id, "url": me.url, "told": me.told, "expires_at": now + ttl}
        known = sa.update(MEMBERS).where(MEMBERS.c.id == me.id).values(row)
        if not (await connection.execute(known)).rowcount:
            await connection.execute(sa.insert(MEMBERS).values(row))

    async def _now(self, connection: AsyncConnection) -> float:
        if self.exclusive:
            return self._clock.now().timestamp()
        clock = sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))
        return float((await connection.execute(clock)).scalar_one())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise StoreError(f"the daemon's leases {told(self._engine, error)}") from error
