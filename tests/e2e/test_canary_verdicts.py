"""Canaries that are worse than what serves, each in its own way: back, or held."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import shop, under_load, webhook
from tests.e2e.world import World, world
from tests.support import faulty_server
from tests.support.eventually import eventually
from tests.support.faulty_server import USUAL

pytestmark = pytest.mark.timeout(90)
_log = logging.getLogger(__name__)
SETTINGS = (
    "--Reconciliation:DefaultStrategy=Canary",
    "--Health:MinimumHealthyTime=00:00:00.5",
    "--TwoSlots:DrainTime=00:00:01",
    "--Analysis:StepTime=00:00:01",
    "--Analysis:Deadline=00:00:02",
)


@asynccontextmanager
async def faulty_world(directory: Path, *steps: int) -> AsyncIterator[tuple[World, dict[str, Any]]]:
    """A shop on servers that have the faults that their document asks for."""
    program = directory / "server"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {faulty_server.__file__} "$@"\n')
    program.chmod(0o700)
    shares = [f"--Canary:Steps:{n}={step}" for n, step in enumerate(steps)]
    settings = (*SETTINGS, *shares, f"--Process:ExecutablePath={program}")
    async with webhook() as told, world(directory, settings=settings) as made:
        document = shop(told.url)
        document["reactions"][1]["fault"] = {"delay": USUAL}
        await made.create("shop", **document)
        yield made, document


async def give(made: World, fault: dict[str, Any]) -> None:
    path = "/reactions/1/fault"
    await made.patch("shop", {"op": "replace", "path": path, "value": {"delay": USUAL, **fault}})


@dataclass(frozen=True)
class Fault:
    """What the candidate is told to do wrong, and what the audit must say about it.

    So many bad answers as are `enough` can condemn it; clients have `noticed` some of them.
    """

    fault: dict[str, Any]
    steps: tuple[int, ...]
    why: str
    enough: int = 1
    noticed: bool = False


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Fault({"errors": 20}, (25, 50, 100), "errors: ", enough=5, noticed=True),
            id="5 % errors",
        ),
        pytest.param(Fault({"delay": 0.06}, (25, 50, 100), "latency: ", enough=50), id="slower"),
        pytest.param(
            Fault({"crash": 25}, (10, 50, 100), "process runs: ", noticed=True), id="crashes"
        ),
        pytest.param(
            Fault({"rows": True}, (25, 50, 100), "query 'each' gives other rows"), id="other rows"
        ),
    ],
)
async def test_a_faulty_canary_is_taken_back(tmp_path: Path, case: Fault) -> None:
    async with faulty_world(tmp_path, *case.steps) as (made, document):
        serving = await made.process_of("shop")
        async with under_load(document, rate=200, streams=2) as load:

            async def busy() -> bool:
                return load.reads > 100

            await eventually(busy, within=20)
            await give(made, case.fault)

            async def over() -> bool:
                return "rolled-back" in await made.outcomes("shop")

            await eventually(over, within=40, every=0.1)
            seen, failed = load.reads, list(load.failed)

            async def more() -> bool:
                return load.reads > seen + 50

            await eventually(more, within=20)
        assert load.failed == failed, "it failed after all traffic was back"
        assert case.noticed or not load.failed
        entry = (await made.audit("shop"))[-1]
        assert case.why in entry["error"]
        assert entry["quarantinedDigest"]
        steps = await steps_of(made, entry["operationId"])
        back = steps["closing-candidate"]
        assert await slot_names(made) == ["main"]
        assert await made.process_of("shop") == serving
        lines = (tmp_path / "cp/instances/shop/second/faults").read_text().split()
        bad = [datetime.fromtimestamp(float(line), UTC) for line in lines]
        _log.info(
            "%s: back %.2f s after the first bad answer, %.2f s after bad answer %d, %d in all; %s",
            case.fault,
            (back - bad[0]).total_seconds(),
            (back - bad[min(case.enough, len(bad)) - 1]).total_seconds(),
            case.enough,
            len(bad),
            entry["error"],
        )


async def test_a_canary_without_traffic_is_held_and_goes_on_with_it(tmp_path: Path) -> None:
    async with faulty_world(tmp_path, 50, 100) as (made, document):
        await give(made, {"delay": 0.01})

        async def held() -> bool:
            return "held" in await made.outcomes("shop")

        await eventually(held, within=30)
        assert await slot_names(made) == ["main", "second"]
        entry = (await made.audit("shop"))[-1]
        assert "not enough data: 0 of 50" in entry["action"]

        async with under_load(document, rate=100, streams=0) as load:

            async def over() -> bool:
                return "succeeded" in await made.outcomes("shop")

            await eventually(over, within=40, every=0.2)
        assert load.failed == []
        assert await made.outcomes("shop") == ["started", "held", "succeeded"]
        assert await slot_names(made) == ["second"]


async def slot_names(made: World) -> list[str]:
    found = await made.ask("GET", "/api/servers/instances/shop/slots", None, 200)
    return [slot["name"] for slot in found["slots"]]


async def steps_of(made: World, operation: str) -> dict[str, datetime]:
    """When each phase began, the last time."""
    found = await made.ask_daemon(f"/api/reconciliation/operations/{operation}")
    return {each["phase"]: datetime.fromisoformat(each["at"]) for each in found["steps"]}
