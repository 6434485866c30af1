"""Stops the servers at the end, without taking away that they should run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from draas.client.operators import Operators
from draas.client.port import ControlPlaneError, RefusedError

AT_ONCE = 8
LOOK_EVERY = 0.2
LONGEST = 60.0
HURRIED = 3.0
"""Seconds that the servers still get in a hurry: better than to leave them behind."""

_DOWN = ("Stopped", "Created")


async def stop_instances(
    control_plane: Operators, hurry: asyncio.Event, tell: Callable[[str], None]
) -> None:
    """Stop all servers that run; the next `draas up` brings back those that should."""
    work = asyncio.create_task(_stop_all(control_plane, tell))
    hurried = asyncio.create_task(hurry.wait())
    await asyncio.wait([work, hurried], timeout=LONGEST, return_when=asyncio.FIRST_COMPLETED)
    if hurried.done():
        await asyncio.wait([work], timeout=HURRIED)
    if not work.done():
        tell("Some servers may still run; the next `draas up` takes them over")
    for task in (work, hurried):
        task.cancel()
    await asyncio.gather(work, hurried, return_exceptions=True)


async def _stop_all(control_plane: Operators, tell: Callable[[str], None]) -> None:
    try:
        found = await control_plane.instances()
    except ControlPlaneError as error:
        tell(f"The servers were left running: {error}")
        return
    up = [str(each["id"]) for each in found if each.get("status") not in _DOWN]
    if not up:
        return
    tell(f"Stopping {len(up)} server{'s' if len(up) > 1 else ''}")
    limit = asyncio.Semaphore(AT_ONCE)

    async def stop(instance_id: str) -> None:
        async with limit:
            try:
                await _stop(control_plane, instance_id)
            except ControlPlaneError as error:
                tell(f"{instance_id} was not stopped: {error}")

    await asyncio.gather(*(stop(each) for each in up))


async def _stop(control_plane: Operators, instance_id: str) -> None:
    """A server that somebody else is working on is tried again when that is done."""
    while True:
        try:
            await control_plane.lifecycle(instance_id, "stop", keep_desired=True)
            return
        except RefusedError as error:
            if error.kind != "instance-busy":
                raise
        await asyncio.sleep(LOOK_EVERY)
