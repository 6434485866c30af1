"""One of fifty queries changes in place while orders are pushed; nobody else may miss one."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.whole import Whole, push, query, whole

QUERIES = 50
CHANGED = 7
AFTER = 50
"""Orders that are pushed after the last change."""


def measure(log: Path, rounds: int) -> list[Row]:
    """The median of the rounds, and what all of the other queries missed in them."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), log, rounds))


async def _measure(directory: Path, log: Path, rounds: int) -> list[Row]:
    queries = [query(f"q{number}", f"o.price < 1{number:06}") for number in range(QUERIES)]
    strategy = "--Reconciliation:DefaultStrategy=HotApply"
    times = []
    async with whole(directory, log) as made, made.daemon(strategy):
        port = await made.create("many", queries)
        url = f"http://127.0.0.1:{port}/api/v1"
        ending = asyncio.Event()
        pushing = asyncio.create_task(_push_all(made, url, ending))
        for number in range(rounds):
            text = query("q", f"o.price < {number}")["query"]
            pointer = f"/queries/{CHANGED}/query"
            times.append(await made.changed("many", pointer, text) * 1000)
        ending.set()
        pushed = await pushing
        missed = 0
        for number in range(QUERIES):
            if number != CHANGED:
                missed += pushed - await _rows(made, f"{url}/queries/q{number}/results", pushed)
    name = f"HotApply of one of {QUERIES} queries under load"
    return [
        Row(f"{name}: PATCH to done", statistics.median(times), "ms"),
        Row(f"{name}: events that the others missed", missed, "events"),
    ]


async def _push_all(made: Whole, url: str, ending: asyncio.Event) -> int:
    """One after another, until it is told to end and then some; how many."""
    left = AFTER
    for number in itertools.count():
        if ending.is_set():
            left -= 1
            if not left:
                return number
        await push(made, url, number)
    raise AssertionError("it counts for ever")


async def _rows(made: Whole, url: str, expected: int) -> int:
    """How many rows a query has, once it has all or does not get any more."""
    before = -1
    while True:
        async with made.session.get(url) as answer:
            found: list[Any] = (await answer.json())["data"]
        if len(found) in (expected, before):
            return len(found)
        before = len(found)
        await asyncio.sleep(1)
