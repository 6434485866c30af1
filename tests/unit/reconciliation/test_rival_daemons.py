"""Two daemons with stores of their own over one fleet: a mistake that heals."""

from __future__ import annotations

import asyncio

from draas.reconciliation.shards import RETAKE_SECONDS
from draas.testing.configurations import configuration
from tests.unit.reconciliation.scenarios import runs, simulated
from tests.unit.reconciliation.simulation import World


@simulated
async def test_what_was_left_to_a_rival_that_went_away_is_taken_up_again() -> None:
    world = World()
    await world.running("a")
    async with world.daemon() as daemon:
        await world.until(lambda: daemon.link.synced)
        await asyncio.sleep(1)
        rival = World()
        rival.control_plane = world.control_plane
        async with rival.daemon():
            await asyncio.sleep(5)
            await world.control_plane.configure("a", configuration(9090))
            await world.until(lambda: runs(world, "a", configuration(9090)))
        await world.control_plane.crash("a")
        await world.until(lambda: not daemon.shards.owns("a"))
        assert len(daemon.shards.held) == 63, "what is left to another is not told as held"
        await world.until(lambda: runs(world, "a", configuration(9090)), within=RETAKE_SECONDS + 30)
        assert len(daemon.shards.held) == 64
