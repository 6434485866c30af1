"""What Envoy costs in front of an instance: memory, time of a request, time of a change."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.lines import MIB
from benchmarks.rows import Row
from benchmarks.whole import Whole, push, query, whole

INSTANCE = "/api/servers/instances/shop"


def measure(log: Path, requests: int, changes: int) -> list[Row]:
    """Rows for so many requests each way, and so many changes of weights."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), log, requests, changes))


async def _measure(directory: Path, log: Path, requests: int, changes: int) -> list[Row]:
    async with whole(directory, log) as made:
        port = await made.create("shop", [query("all", "o.price < 1000")])
        for number in range(10):
            await push(made, f"http://127.0.0.1:{port}/api/v1", number)
        [slot] = (await made.ask("GET", f"{INSTANCE}/slots"))["slots"]
        ways = [
            f"http://127.0.0.1:{each}/api/v1/queries/all/results" for each in (slot["port"], port)
        ]
        direct, routed = await _latencies(made, ways, requests)
        memory = _resident(directory)
        times = await _weights(made, changes)
    name = "Envoy in front of an instance"
    return [
        Row(f"{name}: RSS", memory, "MiB"),
        Row(f"{name}: added to a request: p50", _at(routed, 50) - _at(direct, 50), "ms"),
        Row(f"{name}: added to a request: p99", _at(routed, 99) - _at(direct, 99), "ms"),
        Row(f"{name}: new weights until they are live", statistics.median(times), "ms"),
    ]


async def _latencies(made: Whole, ways: list[str], requests: int) -> list[list[float]]:
    """The times of requests that take the ways in turn, each sorted, in ms."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(requests):
        for url, taken in zip(ways, times, strict=True):
            began = time.perf_counter()
            async with made.session.get(url) as answer:
                await answer.read()
                answer.raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
    return [sorted(taken) for taken in times]


async def _weights(made: Whole, changes: int) -> list[float]:
    configuration = await made.ask("GET", "/api/configuration/instances/shop")
    candidate = {"configuration": {**configuration, "logLevel": "debug"}}
    await made.ask("POST", f"{INSTANCE}/slots", candidate)
    times = []
    for number in range(changes):
        share = 1 + number % 99
        began = time.perf_counter()
        weights = {"weights": {"main": 100 - share, "second": share}}
        await made.ask("PUT", f"{INSTANCE}/traffic", weights)
        times.append((time.perf_counter() - began) * 1000)
    await made.ask("DELETE", f"{INSTANCE}/slots/second?drainSeconds=0")
    return times


def _resident(directory: Path) -> float:
    """The memory of the Envoy whose files lie below a directory, in MiB."""
    for process in psutil.process_iter(["name", "cmdline", "memory_info"]):
        words = process.info["cmdline"] or []
        if process.info["name"] == "envoy" and any(str(directory) in word for word in words):
            return float(process.info["memory_info"].rss) / MIB
    raise RuntimeError("no Envoy runs")


def _at(times: list[float], percent: int) -> float:
    return times[min(len(times) - 1, len(times) * percent // 100)]
