"""The daemon killed with -9 in every phase of a restart, and what is found afterwards.

Real processes on both sides. One kill between storing a phase and acting on it, one between acting
and storing the next. Whatever the moment: the next daemon leaves one running server at its desired
configuration, or at the last good one if the desired cannot start, and one audit story.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from draas.model.reconciliation import Phase
from tests.e2e.world import Program, World, free_port, world
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)
WAY_BACK = (Phase.RESTORING, Phase.VERIFYING_RESTORED)
NEWER = "MATCH (n) RETURN n.value AS value"
STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.matrix)]


@pytest.fixture(params=STORES)
async def made(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    settings = ("--Reconciliation:RestartDelay=00:00:00.3",)
    if request.param == "postgresql":
        settings += (f"--Store={request.getfixturevalue('postgres_url')}",)
    async with world(tmp_path, daemon=False, settings=settings) as found:
        yield found


@pytest.mark.parametrize("moment", ["after", "before"])
@pytest.mark.parametrize("phase", list(Phase), ids=lambda phase: phase.value)
async def test_killed_in_a_restart(made: World, phase: Phase, moment: str) -> None:
    await made.create("a")
    first = await made.configuration("a")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bad = phase in WAY_BACK
        if phase is Phase.APPLYING:
            made.daemon.arguments += ("--Reconciliation:DefaultStrategy=HotApply",)
            port = first["port"]
            await made.patch("a", {"op": "replace", "path": "/queries/0/query", "value": NEWER})
        else:
            port = taken.getsockname()[1] if bad else free_port()
            await made.patch("a", {"op": "replace", "path": "/port", "value": port})
        await _die_in(made, phase, moment)
        await made.daemon.start()
        expected = first["port"] if bad else port
        await eventually(lambda: made.healthy(expected), within=15)
        await eventually(lambda: _story_ended(made), within=15)
    found = await made.instance("a")
    assert found["status"] == "Running"
    assert len(made.servers()) == 1
    assert (found["appliedDigest"] == found["desiredDigest"]) is not bad
    outcomes = await made.outcomes("a")
    assert outcomes.count("started") == 1
    assert outcomes[-1] == ("rolled-back" if bad else "succeeded")
    verdict = await made.ask_daemon("/api/reconciliation/audit/verify")
    assert verdict["intact"] is True


async def _die_in(made: World, phase: Phase, moment: str) -> None:
    """Run the daemon that is doomed to die there, to its end."""
    doomed = Program(
        made.directory / "doomed.log",
        *made.daemon.arguments,
        command=(sys.executable, "-m", "tests.support.doomed_daemon", phase.value, moment),
    )
    await doomed.spawn()
    async with asyncio.timeout(30):
        assert await doomed.ended() == -signal.SIGKILL


async def _story_ended(made: World) -> bool:
    return (await made.outcomes("a"))[-1] in ("succeeded", "rolled-back")
