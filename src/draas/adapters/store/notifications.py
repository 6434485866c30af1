"""PostgreSQL tells when somebody wrote; who misses it finds out a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from asyncpg import InterfaceError, PostgresError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

_CHANNEL = "draas_changes"
TELL = text(f"NOTIFY {_CHANNEL}")
"""To be said in the transaction that writes: it is heard when that is durable."""
POLL_SECONDS = 1.0
"""A notification may be lost with its connection: so often is looked without one."""
RETRY_SECONDS = 1.0


async def listen(engine: AsyncEngine, heard: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled, await `heard` at each notification, and every `POLL_SECONDS`.

    It is told while the database is away too: then nobody knows.
    """
    while True:
        with suppress(SQLAlchemyError, PostgresError, InterfaceError, OSError):
            await _listen(engine, heard)
        await heard()
        await asyncio.sleep(RETRY_SECONDS)


async def _listen(engine: AsyncEngine, heard: Callable[[], Awaitable[None]]) -> None:
    told = asyncio.Event()
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            driver.add_termination_listener(lambda *_: told.set())
            await driver.add_listener(_CHANNEL, lambda *_: told.set())
            while not driver.is_closed():
                told.clear()
                await heard()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await told.wait()
                if not told.is_set():
                    await driver.execute("SELECT 1", timeout=RETRY_SECONDS)
        finally:
            await connection.invalidate()
