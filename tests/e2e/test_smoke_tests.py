"""Smoke tests of a real candidate: an HTTP probe, a command and a query, and the way back."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import Load, shop, webhook
from tests.e2e.test_slots import push, slots
from tests.e2e.world import World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(120)
ASKS = (
    "import os, sys, urllib.request as r; host, port = sys.argv[1].split(':'); "
    "assert (host, port) == (os.environ['DRAAS_HOST'], os.environ['DRAAS_PORT']); "
    "body = r.urlopen(f'http://{host}:{port}/api/v1/queries').read().decode(); "
    "print('no query named each') or sys.exit(3) if 'each' not in body else None"
)
REVENUE = [{"orders": 5, "revenue": 50}]


def smoke_tests(revenue: list[dict[str, Any]], query: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", ASKS.replace("each", query), "{host}:{port}"]
    return [
        {"kind": "http", "name": "ready", "path": "/health", "expectBody": '"status"'},
        {"kind": "command", "name": "ours", "command": command},
        {"kind": "query", "name": "revenue", "query": "totals", "rows": revenue},
    ]


def settings(file: Path) -> tuple[str, ...]:
    return (
        "--Reconciliation:DefaultStrategy=BlueGreen",
        f"--BlueGreen:SmokeTests={file}",
        "--BlueGreen:SoakTime=00:00:01",
        "--Health:MinimumHealthyTime=00:00:01",
        "--TwoSlots:DrainTime=00:00:02",
    )


async def changed(made: World) -> list[dict[str, Any]]:
    """Another log level for the shop; its audit once that is over."""
    await made.patch("shop", {"op": "replace", "path": "/logLevel", "value": "debug"})

    async def over() -> bool:
        return len(await made.audit("shop")) >= 2

    await eventually(over, within=60)
    return await made.audit("shop")


async def opened(made: World, url: str, port: int) -> int:
    await made.create("shop", **shop(url, port=port))
    for number in range(5):
        await push(made, port, f"o{number}", 10)
    return await made.process_of("shop")


async def test_a_candidate_that_passes_serves(tmp_path: Path) -> None:
    file, port = tmp_path / "smoke-tests.json", free_port()
    file.write_text(json.dumps(smoke_tests(REVENUE, "each")))
    async with webhook() as told, world(tmp_path, settings=settings(file)) as made:
        before = await opened(made, told.url, port)
        assert [each["outcome"] for each in await changed(made)] == ["started", "succeeded"]
        assert await made.process_of("shop") != before
        assert (await made.configuration("shop"))["logLevel"] == "debug"


async def test_one_that_fails_never_serves_and_the_audit_says_why(tmp_path: Path) -> None:
    file, port = tmp_path / "smoke-tests.json", free_port()
    wrong = [{"orders": 5, "revenue": 60}]
    file.write_text(json.dumps(smoke_tests(wrong, "every")))
    async with webhook() as told, world(tmp_path, settings=settings(file)) as made:
        before = await opened(made, told.url, port)
        load = Load(made._session, await made.configuration("shop"), rate=0.5, streams=1)
        running = asyncio.create_task(load.run())
        ended = (await changed(made))[1]
        load.end()
        await running
        assert ended["outcome"] == "rolled-back"
        assert "ready" not in ended["error"]
        assert "ours: ended with 3 instead of 0: no query named every" in ended["error"]
        assert "revenue: query 'totals' has other rows (1) than the 1" in ended["error"]
        assert '{"orders":5,"revenue":60} is missing' in ended["error"]
        assert ended["quarantinedDigest"]
        assert await made.process_of("shop") == before, "what served was not touched"
        assert list(await slots(made)) == ["main"]
        assert (load.failed, load.ends) == ([], [])
