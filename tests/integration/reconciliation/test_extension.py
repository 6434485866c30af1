"""A strategy of another package: found by its entry point, chosen by name, run by the daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "strategy"
POINTS = "[draas.strategies]\n{}\n"

SCENARIO = """
import asyncio
from datetime import timedelta
from draas.decide.strategies import STRATEGIES, UNUSABLE
from draas.reconciliation.options import load_daemon_settings
from draas.testing import virtual_time
from draas.testing.configurations import configuration
from tests.unit.reconciliation.scenarios import runs
from tests.unit.reconciliation.simulation import World

settings = load_daemon_settings(arguments=["--Reconciliation:DefaultStrategy=NightRestart"])
assert settings.reconciliation.default_strategy == "NightRestart"


async def scenario() -> None:
    world = World(default_strategy="NightRestart")
    await world.running("a")
    world.clock.jump(timedelta(hours=12))
    new = configuration(9090)
    async with world.daemon():
        await world.control_plane.configure("a", new)
        await asyncio.sleep(9 * 3600)
        assert world.control_plane.log == [], "not by day"
        await world.until(lambda: runs(world, "a", new), within=2 * 3600)
        await asyncio.sleep(10)
    entries = await world.audit("a")
    assert [each.outcome for each in entries] == ["started", "succeeded"]
    assert entries[0].strategy == "NightRestart"
    assert entries[0].plan[0] == "wait until 22:00 UTC"


virtual_time.run(scenario())
"""


def installed(folder: Path, points: str) -> None:
    """As a wheel leaves it: the module, and its entry points beside it."""
    shutil.copy(EXAMPLE / "night_restart.py", folder)
    metadata = folder / "draas_night_restart-1.0.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: draas-night-restart\nVersion: 1.0.0\n")
    (metadata / "entry_points.txt").write_text(POINTS.format(points))


def python(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(root)))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worked_example_runs(tmp_path: Path) -> None:
    told = (EXAMPLE / "pyproject.toml").read_text()
    [line] = [each for each in told.splitlines() if each.startswith("NightRestart")]
    installed(tmp_path, line.replace('"', ""))
    done = python(tmp_path, SCENARIO)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        pytest.param("Bad = no_such_module:X", "cannot be loaded", id="not there"),
        pytest.param("Bad = night_restart:BEGINS", "is no Strategy", id="something else"),
        pytest.param("Bad = draas.decide.strategies.restart:RESTART", "is taken", id="taken"),
    ],
)
def test_what_cannot_be_used_is_named_and_takes_nothing_along(
    tmp_path: Path, point: str, reason: str
) -> None:
    installed(tmp_path, point)
    code = "from draas.decide.strategies import *; from draas.decide import strategies as s; "
    done = python(tmp_path, code + "print(s.UNUSABLE); print(sorted(s.STRATEGIES))")
    assert done.returncode == 0, done.stderr
    assert reason in done.stdout
    assert "'Restart', 'RollingUpdate'" in done.stdout
