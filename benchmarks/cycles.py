"""What a cycle costs, against the naive port on the same server in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.documents import instance_id
from benchmarks.lines import Child
from benchmarks.patches import change
from benchmarks.rows import Row

TARGETS = {
    "nothing changed": {1_000: 1 / 1_000, 10_000: 1 / 15_000},
    "10 changed": {1_000: 1 / 1_000, 10_000: 1 / 15_000},
    "1% changed": {1_000: 1 / 300, 10_000: 1 / 500},
    "foreign": {1_000: 1 / 12, 10_000: 1 / 25},
}
FIRST_SYNC_MS = {1_000: 50, 10_000: 200}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one cycle: CPU in ms at both ends, requests and bytes of heads and bodies."""

    client: float
    server: float
    requests: float
    bytes: float


def measure(server: Child, log: Path, size: int, rounds: int) -> list[Row]:
    """The rows for a fleet of that size; `rounds` for each, fewer for what takes long."""
    url = str(server.hello["url"])
    rows: list[Row] = []
    slow = min(rounds, 3 if size <= 1_000 else 2)
    with Child(log, "benchmarks.naive", url) as naive:
        base = _median(server, naive, "cycle", slow)
        naive_rss = naive.rss()
    rows += _native(server, log, size, rounds, base)
    rows += _foreign(server, log, size, slow, base)
    rows.append(Row(f"{size:,} instances: RSS of the naive port", naive_rss, "MiB"))
    rows.append(_monitor(server, size))
    return rows


def _native(server: Child, log: Path, size: int, rounds: int, base: Cost) -> list[Row]:
    url = str(server.hello["url"])
    syncs = []
    for _ in range(min(rounds, 3)):
        with Child(log, "benchmarks.watcher", url, "native") as fresh:
            syncs.append(fresh.ask("resync"))
    first = f"{size:,} instances: first sync from nothing"
    seconds, cpu = (statistics.median(sync[each] for sync in syncs) for each in ("seconds", "cpu"))
    rows = [
        Row(first, seconds * 1000, "ms", target=FIRST_SYNC_MS.get(size)),
        Row(f"{first}: CPU of the daemon", cpu * 1000, "ms", base.client),
    ]
    with Child(log, "benchmarks.watcher", url, "native") as watcher:
        watcher.ask("resync")
        watcher.ask("cycle")
        rows += _rows(size, "nothing changed", _median(server, watcher, "cycle", rounds), base)
        for what, count in (("10 changed", 10), ("1% changed", size // 100)):
            cost = _median(server, watcher, "cycle", rounds, partial(_touch, url, max(count, 1)))
            rows += _rows(size, what, cost, base)
    return rows


def _foreign(server: Child, log: Path, size: int, rounds: int, base: Cost) -> list[Row]:
    with Child(log, "benchmarks.watcher", str(server.hello["url"]), "foreign") as watcher:
        watcher.ask("resync")
        watcher.ask("adopt")
        cost = _median(server, watcher, "cycle", rounds)
    return _rows(size, "foreign", cost, base)


def _rows(size: int, what: str, cost: Cost, base: Cost) -> list[Row]:
    cycle = "a cycle over a foreign control plane" if what == "foreign" else f"a cycle, {what}"
    name, target = f"{size:,} instances: {cycle}", TARGETS[what].get(size)
    return [
        Row(f"{name}: CPU of the daemon", cost.client, "ms", base.client, target),
        Row(f"{name}: CPU of the server", cost.server, "ms", base.server),
        Row(f"{name}: requests", cost.requests, "requests", base.requests),
        Row(f"{name}: bytes", cost.bytes / 1000, "kB", base.bytes / 1000),
    ]


def _median(
    server: Child,
    client: Child,
    command: str,
    rounds: int,
    prepare: Callable[[int], set[str]] | None = None,
) -> Cost:
    costs = []
    for number in range(rounds):
        wanted = prepare(number) if prepare else set()
        before, cpu = server.ask("usage"), server.cpu()
        answer = client.ask(command)
        used, after = server.cpu() - cpu, server.ask("usage")
        _require_found(answer, wanted)
        counts = (float(after[key] - before[key]) for key in ("requests", "bytes"))
        costs.append(Cost(answer["cpu"] * 1000, used * 1000, *counts))
    return Cost(
        *(
            statistics.median(getattr(cost, name) for cost in costs)
            for name in Cost.__dataclass_fields__
        )
    )


def _require_found(answer: dict[str, Any], wanted: set[str]) -> None:
    missed = wanted - set(answer.get("found", ()))
    if missed or answer.get("failed"):
        raise RuntimeError(f"the cycle missed {sorted(missed)[:5]} or failed: {answer}")


def _touch(url: str, count: int, round_number: int) -> set[str]:
    """Change as many configurations, each round to another value; their ids."""
    change(url, range(count), 100_000 + count * 1000 + round_number)
    return {instance_id(number) for number in range(count)}


def _monitor(server: Child, size: int) -> Row:
    name = f"{size:,} instances: the control plane looks at every server once: its CPU"
    return Row(name, server.ask("look")["cpu"] * 1000, "ms")
