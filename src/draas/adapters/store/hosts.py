"""The control planes that share a PostgreSQL, alive by its clock."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from draas.adapters.store.control_plane_tables import hosts
from draas.control_plane.records import Host

_NOW = func.extract("epoch", func.clock_timestamp())


async def beat(connection: AsyncConnection, host_id: str, url: str, ttl: float) -> list[Host]:
    """See `draas.control_plane.store.Store.beat`."""
    row = {"url": url, "expires_at": _NOW + ttl}
    mine = insert(hosts).values(id=host_id, **row)
    await connection.execute(mine.on_conflict_do_update(index_elements=["id"], set_=row))
    every = select(hosts.c.id, hosts.c.url, hosts.c.expires_at > _NOW).order_by(hosts.c.id)
    return [Host(*found) for found in await connection.execute(every)]


async def forget(connection: AsyncConnection, host_id: str) -> None:
    """See `draas.control_plane.store.Store.forget_host`."""
    await connection.execute(delete(hosts).where(hosts.c.id == host_id))
