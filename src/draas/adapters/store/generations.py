"""How much of the configurations' history is kept."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from draas.adapters.store.control_plane_tables import configurations
from draas.control_plane.records import Write, generations_in_use


async def forget(connection: AsyncConnection, writes: Iterable[Write], most: int) -> None:
    """Delete what is older than the newest `most` of each that got one, and not in use."""
    for write in writes:
        if write.record is None or write.generation is None:
            continue
        oldest = write.generation.generation - most
        if oldest > 0:
            await connection.execute(
                delete(configurations).where(
                    configurations.c.instance_id == write.instance_id,
                    configurations.c.generation <= oldest,
                    configurations.c.generation.not_in(generations_in_use(write.record)),
                )
            )
