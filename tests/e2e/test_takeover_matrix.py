"""One of two daemons over one PostgreSQL killed with -9, or frozen, in every phase.

The other one takes over within ten seconds and finishes what was begun, once. The frozen one does
no harm when it thaws: what it still does is refused, and it shares the fleet again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from draas.decide.assign import SHARDS, shard_of
from draas.model.reconciliation import Phase
from tests.e2e.changes import changing
from tests.e2e.matrix import BY_ITSELF, TWO_SLOTS, Cell, cells
from tests.e2e.world import Program, World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(180)
TAKEN_OVER_WITHIN = 10.0


@dataclass
class Pair:
    """A control plane, a daemon that survives, and one that is doomed."""

    made: World
    survivor: str
    doomed: Program
    doomed_url: str

    async def is_shared(self) -> bool:
        """Whether both daemons are members, and hold all shards between them."""
        told = [await self.made.replica(url) for url in (self.survivor, self.doomed_url)]
        first, second = (each["shards"]["held"] for each in told)
        alive = [len(each["replicas"]) for each in told]
        complete = sorted(first + second) == list(range(SHARDS))
        return alive == [2, 2] and bool(first) and bool(second) and complete

    async def is_taken_over(self) -> bool:
        """Whether the survivor holds everything."""
        return len((await self.made.replica(self.survivor))["shards"]["held"]) == SHARDS

    async def names(self) -> tuple[str, str]:
        """A name for an instance that the doomed one works on, and that of one that is there."""
        held = (await self.made.replica(self.doomed_url))["shards"]["held"]
        name, calm, *_ = [name for n in range(1000) if shard_of(name := f"i{n}") in held]
        await self.made.create(calm)
        return name, calm


@asynccontextmanager
async def pair(directory: Path, store: str, cell: Cell, how: signal.Signals) -> AsyncIterator[Pair]:
    settings = (f"--Store={store}", *cell.settings)
    async with world(directory, daemon=False, settings=settings) as made:
        doomed = cell.doomed(made, how, "doomed", free_port())
        try:
            survivor, url = await asyncio.gather(made.daemon.start(), doomed.start())
            found = Pair(made, survivor, doomed, url)
            await eventually(found.is_shared, within=15)
            yield found
        finally:
            await doomed.end(signal.SIGKILL)


@pytest.mark.parametrize("cell", cells("after", "before", quick=["Restart-starting-after"]))
async def test_killed_with_a_standby(cell: Cell, postgres_url: str, tmp_path: Path) -> None:
    async with pair(tmp_path, postgres_url, cell, signal.SIGKILL) as both:
        name, calm = await both.names()
        process = await both.made.process_of(calm)
        async with changing(both.made, cell, name) as change:
            await change.order()
            await change.urge(both.doomed_url)
            async with asyncio.timeout(30):
                assert await both.doomed.ended() == -signal.SIGKILL
            await eventually(both.is_taken_over, within=TAKEN_OVER_WITHIN)
            await eventually(change.is_told, within=15)
            await change.check()
            assert change.nobody_noticed()
        assert await both.made.process_of(calm) == process
        assert await both.made.audit(calm) == []


QUICK = ["Restart-stopping-calling", "Restart-verifying-before"]


@pytest.mark.parametrize(
    "cell", cells("after", "calling", "before", "storing", quick=QUICK, strategies=BY_ITSELF)
)
async def test_frozen_with_a_standby(cell: Cell, postgres_url: str, tmp_path: Path) -> None:
    async with pair(tmp_path, postgres_url, cell, signal.SIGSTOP) as both:
        name, calm = await both.names()
        processes = {calm: await both.made.process_of(calm)}
        async with changing(both.made, cell, name) as change:
            await change.order()
            await change.urge(both.doomed_url)
            frozen = psutil.Process(both.doomed.process_id)
            await eventually(lambda: _is_stopped(frozen), within=30)
            await eventually(both.is_taken_over, within=TAKEN_OVER_WITHIN)
            await eventually(change.is_told, within=15)
            await change.check()
            processes[name] = await both.made.process_of(name)
            os.kill(frozen.pid, signal.SIGCONT)
            await eventually(both.is_shared, within=15)
            await change.check()
            assert _refusal(cell) in both.doomed.log.read_text()
            assert await both.made.audit(calm) == []
            found = {each: await both.made.process_of(each) for each in processes}
            assert found == processes, "nothing was restarted"
            if cell.strategy in TWO_SLOTS and not cell.is_held:
                # With its visitors: a canary goes nowhere without traffic.
                await _changes_once_more(both.made, name)
        if cell.strategy not in TWO_SLOTS:  # The port that was taken is free by now.
            await _changes_once_more(both.made, name)


async def _changes_once_more(made: World, name: str) -> None:
    await made.patch(name, {"op": "replace", "path": "/logLevel", "value": "warn"})
    await eventually(lambda: made.settled(name), within=15)


def _refusal(cell: Cell) -> str:
    """What the thawed daemon says of the instance that it still worked on."""
    if cell.moment == "after" and cell.phase in (Phase.STARTING, Phase.FINISHED):
        return "The leases could not be renewed in time"
    if cell.moment == "storing":
        return "The daemon's own store cannot be used"
    if cell.moment == "calling":
        return "The control plane refused an order"
    return "Leaving instance"


async def _is_stopped(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED
