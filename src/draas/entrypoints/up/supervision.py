"""Keeps a child running: waits until it is ready, and starts it again when it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from draas.client.port import ControlPlaneError
from draas.entrypoints.up.child import Child, trim

TELL_EVERY = 5.0
LOOK_EVERY = 0.1
FIRST_DELAY = 0.5
LONGEST_DELAY = 10.0
STEADY_SECONDS = 30.0
TRIM_EVERY = 60.0

Readiness = Callable[[], Awaitable[str]]
"""Why a process is not ready, empty once it is; raises `ControlPlaneError` if nobody answers."""

Tell = Callable[[str], None]


class StartError(Exception):
    """A child that ended before it was ready; it is said in words."""


async def until_ready(child: Child, readiness: Readiness, tell: Tell) -> None:
    """Wait until the child says that it is ready; what it waits for is told from time to time.

    Raises:
        StartError: it ended.
    """
    loop = asyncio.get_running_loop()
    end = asyncio.create_task(child.ended())
    tell_at = loop.time() + TELL_EVERY
    try:
        while not end.done():
            try:
                reason = await readiness()
                if not reason:
                    return
            except ControlPlaneError as error:
                reason = str(error)
            if loop.time() > tell_at:
                tell(f"Waiting for {child.title}: {reason}")
                tell_at += TELL_EVERY
            await asyncio.wait([end], timeout=LOOK_EVERY)
    finally:
        end.cancel()
    raise StartError(f"{child.title} did not start ({end.result()})")


async def keep(child: Child, readiness: Readiness, tell: Tell) -> None:
    """Start the child again whenever it dies, later each time; never returns."""
    loop = asyncio.get_running_loop()
    delay = FIRST_DELAY
    while True:
        begun = loop.time()
        how = await _ended(child)
        if loop.time() - begun > STEADY_SECONDS:
            delay = FIRST_DELAY
        tell(f"{child.title} ended unexpectedly ({how}); starting it again in {delay:g} s")
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)
        try:
            await child.start()
            await until_ready(child, readiness, tell)
        except (StartError, OSError) as error:
            tell(f"{error}; its log is {child.log}")
        else:
            tell(f"{child.title} is back")


async def _ended(child: Child) -> str:
    """Wait for its end; meanwhile its log is kept small."""
    end = asyncio.create_task(child.ended())
    try:
        while not end.done():
            await asyncio.wait([end], timeout=TRIM_EVERY)
            trim(child.log)
        return end.result()
    finally:
        end.cancel()
