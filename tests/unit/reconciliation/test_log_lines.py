"""What a daemon says of what it does: R-130 and R-182 to the letter, and nothing in alarm."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from draas.model.configuration import digest
from draas.telemetry import logs
from draas.telemetry.levels import LoggingSettings
from draas.testing import virtual_time
from tests.unit.reconciliation.scenarios import Scenario, runs, starts
from tests.unit.reconciliation.simulation import World, configuration

STRATEGY = "DRaaS.Reconciliation.Strategies.RestartReconciliationStrategy[0]"
LOOP = "DRaaS.Reconciliation.ReconciliationBackgroundService[0]"
CLIENT = "DRaaS.Reconciliation.ReconciliationApiClient[0]"
SERVICE = "DRaaS.Reconciliation.ReconciliationService[0]"


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.configure(LoggingSettings(log_level={}), io.StringIO())
    root.handlers = handlers
    root.setLevel(level)


def said(scenario: Scenario) -> list[tuple[str, str, str]]:
    """The lines of a scenario as level, category and text."""
    stream = io.StringIO()
    logs.configure(LoggingSettings(), stream)
    virtual_time.run(scenario())
    heads: list[Any] = []
    for line in stream.getvalue().splitlines():
        if line.startswith(" "):
            level, _, category = heads.pop().partition(": ")
            heads.append((level, category, line.strip()))
        else:
            heads.append(line)
    return heads


def test_a_repair() -> None:
    async def scenario() -> None:
        world = World()
        await world.running("abc-123")
        async with world.daemon():
            await asyncio.sleep(1)
            await world.control_plane.configure("abc-123", configuration(8101))
            await world.until(lambda: starts(world, "abc-123") == 1)
            await asyncio.sleep(40)

    lines = said(scenario)
    wanted = [
        ("info", LOOP, "Reconciliation Background Service starting..."),
        ("info", LOOP, "Event-driven reconciliation enabled"),
        ("info", LOOP, "Periodic reconciliation enabled with interval: 00:00:30"),
        ("dbug", LOOP, "Starting periodic reconciliation cycle"),
        (
            "info",
            LOOP,
            "Configuration change detected for instance abc-123, triggering reconciliation",
        ),
        ("info", SERVICE, "Drift detected for instance 'abc-123': Port: 8100 → 8101"),
        ("info", STRATEGY, "Starting restart reconciliation for instance 'abc-123'"),
        ("dbug", STRATEGY, "Stopping instance abc-123"),
        ("info", CLIENT, "Successfully stopped instance 'abc-123'"),
        ("dbug", STRATEGY, "Starting instance abc-123 with new configuration"),
        ("info", CLIENT, "Successfully started instance 'abc-123'"),
        ("info", SERVICE, "Reconciliation successful for instance 'abc-123' (attempt 1 of 3)"),
        ("info", LOOP, "Successfully reconciled instance abc-123 using Restart"),
        (
            "info",
            LOOP,
            "Reconciliation cycle complete. Checked: 1, Drift detected: 1, Reconciled: 1, "
            "Failed: 0",
        ),
        ("info", LOOP, "Reconciliation Background Service stopping..."),
    ]
    rest = iter(lines)
    for each in wanted:
        assert each in rest, f"{each} comes in this order"
    assert {level for level, _, _ in lines} == {"info", "dbug"}


def test_a_repair_that_fails() -> None:
    async def scenario() -> None:
        world = World()
        await world.running("a")
        wrong = configuration(1024)
        world.control_plane.failing[digest(wrong)] = "port 1024 is in use"
        async with world.daemon():
            await asyncio.sleep(1)
            await world.control_plane.configure("a", wrong)
            await world.until(lambda: runs(world, "a", configuration(8100)))
            await asyncio.sleep(5)

    lines = said(scenario)
    assert ("warn", CLIENT, "Failed to start instance a. Status: 500") in lines
    failed = "Reconciliation failed for instance 'a' (attempt 1 of 3): port 1024 is in use"
    assert ("fail", SERVICE, failed) in lines
    assert ("warn", LOOP, "Failed to reconcile instance a: port 1024 is in use") in lines


def test_why_nothing_is_done() -> None:
    async def scenario() -> None:
        world = World(reconcile_error_instances=False)
        await world.running("broken", "stopped")
        await world.control_plane.want("stopped", running=False)
        async with world.daemon():
            await asyncio.sleep(1)
            await world.control_plane.crash("broken")
            await world.control_plane.configure("stopped", configuration(9090))
            await asyncio.sleep(100)

    lines = [text for _, _, text in said(scenario)]
    for text in (
        "Skipped instance 'broken': its status is Error and ReconcileErrorInstances is false",
        "Skipped instance 'stopped': its status is Stopped and ReconcileStoppedInstances is false",
    ):
        assert lines.count(text) == 1, text


@pytest.mark.parametrize(
    ("number", "told"), [pytest.param(1, False, id="room"), pytest.param(4, True, id="too many")]
)
def test_who_waits_for_others_is_told_and_nobody_else(number: int, told: bool) -> None:
    async def scenario() -> None:
        world = World(enable_event_driven_reconciliation=False, max_concurrent_reconciliations=2)
        world.control_plane.start_seconds = 80
        names = [f"i{n}" for n in range(number)]
        await world.running(*names)
        async with world.daemon():
            await asyncio.sleep(5)
            for each, name in enumerate(names):
                await world.control_plane.configure(name, configuration(9090 + each))
            await asyncio.sleep(75)

    lines = [text for _, _, text in said(scenario)]
    waiting = [text for text in lines if "MaxConcurrentReconciliations" in text]
    assert bool(waiting) is told
    assert all("2 reconciliations are running" in text for text in waiting)


def test_an_outage_is_told_once_and_a_cycle_in_it_is_no_success() -> None:
    async def scenario() -> None:
        world = World()
        await world.running("a")
        async with world.daemon():
            await asyncio.sleep(1)
            world.control_plane.reachable = False
            await asyncio.sleep(130)
            world.control_plane.reachable = True
            await asyncio.sleep(5)

    lines = [text for _, _, text in said(scenario)]
    assert len([text for text in lines if "cannot be reached" in text]) == 1
    assert lines.count("ControlPlane is reachable again") == 1
    assert lines.count("Failed to get all instances from ControlPlane") == 1
    assert len([text for text in lines if "cycle complete" in text]) == 1
    assert lines.count("Starting periodic reconciliation cycle") >= 4


def test_what_a_shutdown_leaves_unfinished_is_named() -> None:
    async def scenario() -> None:
        world = World(shutdown_grace_period=timedelta(seconds=0.2))
        await world.running("a", "b")
        async with world.daemon():
            await world.control_plane.configure("a", configuration(9090))
            await world.until(lambda: ("stop", "a") in world.control_plane.log)

    [left] = [text for _, _, text in said(scenario) if text.startswith("Leaving ")]
    assert left.startswith("Leaving 1 reconciliations unfinished")
    assert left.endswith(": a")


def test_both_loops_off_is_said_clearly() -> None:
    async def scenario() -> None:
        off: dict[str, Any] = {
            "enable_auto_reconciliation": False,
            "enable_event_driven_reconciliation": False,
        }
        async with World(**off).daemon():
            await asyncio.sleep(60)

    lines = said(scenario)
    assert ("info", LOOP, "Periodic reconciliation disabled") in lines
    assert ("info", LOOP, "Event-driven reconciliation disabled") in lines
    assert any(level == "warn" and "only when asked" in text for level, _, text in lines)
