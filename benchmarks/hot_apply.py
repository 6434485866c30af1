"""One of fifty queries changes in place while orders are pushed; nobody else may miss one.

The changed query gets the elements of its source again: it is measured with few, and once more with
many.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.whole import Whole, push, query, whole

QUERIES = 50
CHANGED = 7
PAUSE = 0.01


def measure(log: Path, rounds: int, many: int) -> list[Row]:
    """The median of the rounds, and what all of the other queries missed in them."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), log, rounds, many))


async def _measure(directory: Path, log: Path, rounds: int, many: int) -> list[Row]:
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
        for number in range(pushed, many):
            await push(made, url, number)
        over_many = await made.changed("many", pointer, queries[0]["query"]) * 1000
    name = f"HotApply of one of {QUERIES} queries"
    return [
        Row(f"{name}, 100 pushes a second: PATCH to done", statistics.median(times), "ms"),
        Row(f"{name}, 100 pushes a second: events that the others missed", missed, "events"),
        Row(f"{name}, {many:,} elements: PATCH to done", over_many, "ms"),
    ]


async def _push_all(made: Whole, url: str, ending: asyncio.Event) -> int:
    """At a steady pace, until it is told to end; how many."""
    loop = asyncio.get_running_loop()
    at, number = loop.time(), 0
    while not ending.is_set():
        await push(made, url, number)
        number += 1
        at = max(at + PAUSE, loop.time() - PAUSE)
        await asyncio.sleep(max(0.0, at - loop.time()))
    return number


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
