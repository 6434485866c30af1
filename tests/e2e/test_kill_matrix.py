"""The only daemon killed with -9, or frozen, in every phase of an operation.

Real processes on both sides. Whatever the moment: the next daemon, or the same one once it thaws,
leaves one running server at its desired configuration, or at the last good one if the desired
cannot start, and one audit story.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from draas.reconciliation.shards import TTL_SECONDS
from tests.e2e.changes import changing
from tests.e2e.matrix import PHASES, STORES, Cell, cells, on
from tests.e2e.world import Program, World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(120)
IN_A_RESTART = [
    str(Cell("Restart", phase, moment))
    for phase in PHASES["Restart"]
    for moment in ("after", "before")
]
IN_OTHERS = [
    *("HotApply-applying-after", "HotApply-applying-before", "Manual-approved-after"),
    *("RollingUpdate-switching-before", "BlueGreen-taking-back-after", "Canary-analysing-after"),
]
QUICK = [*IN_A_RESTART, *IN_OTHERS]


@pytest.fixture
async def made(
    cell: Cell, store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[World]:
    async with world(tmp_path, daemon=False, settings=on(store, request, cell.settings)) as found:
        yield found


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("cell", cells("after", "before", quick=QUICK))
async def test_killed(made: World, cell: Cell) -> None:
    async with changing(made, cell, "a") as change:
        await change.order()
        doomed = cell.doomed(made, signal.SIGKILL)
        await doomed.spawn()
        await change.urge(made.daemon_url)
        async with asyncio.timeout(30):
            assert await doomed.ended() == -signal.SIGKILL
        await made.daemon.start()
        await eventually(change.is_told, within=15)
        await change.check()
        assert change.nobody_noticed()


@pytest.mark.matrix
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
@pytest.mark.parametrize("cell", cells("after", "calling", "before"))
async def test_frozen_for_longer_than_a_lease(made: World, cell: Cell, store: str) -> None:
    async with changing(made, cell, "a") as change:
        await change.order()
        made.daemon = cell.doomed(made, signal.SIGSTOP)
        await made.daemon.spawn()
        await change.urge(made.daemon_url)
        frozen = psutil.Process(made.daemon.process_id)
        await eventually(lambda: _is_stopped(frozen), within=30)
        thaw = asyncio.get_running_loop().time() + TTL_SECONDS + 1
        if store == "sqlite":
            await is_refused(made.another_daemon(port=free_port()))
        await asyncio.sleep(thaw - asyncio.get_running_loop().time())
        os.kill(frozen.pid, signal.SIGCONT)
        await eventually(change.is_told, within=15)
        await change.check()
        assert change.nobody_noticed()


async def is_refused(second: Program) -> None:
    """A second daemon does not work with the file of one that is only frozen."""
    await second.spawn()
    try:
        async with asyncio.timeout(30):
            assert await second.ended() == 1
    finally:
        await second.end(signal.SIGKILL)
    assert "another process works with" in second.log.read_text()


async def _is_stopped(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED
