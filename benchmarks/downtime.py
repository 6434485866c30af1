"""What each strategy costs those who ask, on real processes with Envoy in front.

A client reads a query through the instance's address, a request every 5 ms whether or not the last
one is answered, while a new text of another query is brought to the instance. Waits that are
settings are short, and named with the strategy; `RestartDelay` is the subject of the first two.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp

from benchmarks.rows import Row
from benchmarks.whole import ORDERS, Whole, push, query, whole

PAUSE = 0.005
ORDERS_BEFORE = 100
NEXT_PRICE = itertools.count(1_000)


class Case(NamedTuple):
    """A strategy with its settings, and what the source document says that it costs."""

    strategy: str
    claim: str
    told: str = ""
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in the row."""
        return f"{self.strategy}, {self.told}" if self.told else self.strategy


_PROVEN = "--Health:MinimumHealthyTime=00:00:01"
CASES = (
    Case("Restart", "2 to 6 s", "RestartDelay 2 s, the default"),
    Case("Restart", "2 to 6 s", "RestartDelay 0", ("--Reconciliation:RestartDelay=00:00:00",)),
    Case("HotApply", ""),
    Case("RollingUpdate", "0", "healthy for 1 s", (_PROVEN,)),
    Case(
        *("BlueGreen", "0", "healthy for 1 s, soak 2 s"),
        (_PROVEN, "--BlueGreen:SoakTime=00:00:02"),
    ),
    Case(
        *("Canary", "0", "healthy for 1 s, steps 10, 50, 100 of 1 s"),
        (
            _PROVEN,
            "--Analysis:StepTime=00:00:01",
            *(f"--Canary:Steps:{n}={share}" for n, share in enumerate((10, 50, 100))),
        ),
    ),
)


@dataclass
class Reader:
    """Asks at a steady pace, and notes when it was answered."""

    session: aiohttp.ClientSession
    url: str
    answered: list[float] = field(default_factory=list)
    failed: int = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Ask until the end of the block, and then until all is answered."""
        ending = asyncio.Event()
        asking = asyncio.create_task(self._ask_all(ending))
        try:
            yield
        finally:
            ending.set()
            await asking

    @property
    def longest(self) -> float:
        """The longest time between two answers, in ms."""
        times = sorted(self.answered)
        return max(two - one for one, two in itertools.pairwise(times)) * 1000

    async def _ask_all(self, ending: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        at, open_now = loop.time(), set[asyncio.Task[None]]()
        while not ending.is_set():
            task = asyncio.create_task(self._ask())
            open_now.add(task)
            task.add_done_callback(open_now.discard)
            at += PAUSE
            await asyncio.sleep(max(0.0, at - loop.time()))
        await asyncio.gather(*open_now)

    async def _ask(self) -> None:
        try:
            async with self.session.get(self.url) as answer:
                await answer.read()
                good = answer.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            good = False
        if good:
            self.answered.append(time.perf_counter())
        else:
            self.failed += 1


def measure(log: Path, strategies: tuple[str, ...], rounds: int) -> list[Row]:
    """Rows for the strategies; medians of the rounds, and all failed requests of them."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), log, strategies, rounds))


async def _measure(
    directory: Path, log: Path, strategies: tuple[str, ...], rounds: int
) -> list[Row]:
    rows = []
    async with whole(directory, log) as made:
        port = await made.create("shop", [query("cheap", "o.price < 1"), _TOTALS])
        url = f"http://127.0.0.1:{port}/api/v1"
        for number in range(ORDERS_BEFORE):
            await push(made, url, number)
        for case in CASES:
            if case.strategy in strategies:
                rows += await _case(made, f"{url}/queries/totals/results", case, rounds)
    return rows


async def _case(made: Whole, url: str, case: Case, rounds: int) -> list[Row]:
    gaps, times, failed = [], [], 0
    strategy = f"--Reconciliation:DefaultStrategy={case.strategy}"
    async with made.daemon(strategy, "--Breaker:Enabled=false", *case.settings):
        for _ in range(rounds):
            reader = Reader(made.session, url)
            async with reader.reading():
                text = query("cheap", f"o.price < {next(NEXT_PRICE)}")["query"]
                times.append(await made.changed("shop", "/queries/0/query", text) * 1000)
            gaps.append(reader.longest)
            failed += reader.failed
    claim = f" (the source document: {case.claim})" if case.claim else ""
    gap = statistics.median(gaps)
    return [
        Row(f"{case.name}: longest time without an answer{claim}", gap, "ms"),
        Row(f"{case.name}: failed requests in {rounds} changes", failed, "requests"),
        Row(f"{case.name}: PATCH to done", statistics.median(times), "ms"),
    ]


_TOTALS = {
    "id": "totals",
    "query": "MATCH (o:Order) RETURN count(o) AS orders, sum(o.price) AS revenue",
    "queryLanguage": "Cypher",
    "sources": ORDERS,
}
