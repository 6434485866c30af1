"""From the answer to a PATCH to the daemon's worker that begins with the instance.

Both instants are of the machine's monotonic clock: one taken by the client when it has the answer,
the other by the daemon's queue when a worker takes the key. Where the worker begins before the
client has its answer, the time is negative; it counts as 0.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lines import Child
from benchmarks.patches import change
from benchmarks.rows import Row

TARGETS = {"idle": 5, "burst": 50, "resync": 25}
SECONDS = 5.0
"""How long the passes are counted after a burst."""


def measure(server: Child, log: Path, size: int, *, single: int, burst: int) -> list[Row]:
    """Rows for `single` PATCHes one by one, as many during full resyncs, and a burst."""
    url, name = str(server.hello["url"]), f"{size:,} instances: PATCH answered to worker"
    with (
        tempfile.TemporaryDirectory() as data,
        Child(log, "benchmarks.acting_daemon", url, data) as daemon,
    ):
        _noted(daemon)
        waits = [_single(url, daemon, number, 900_001) for number in range(single)]
        rows = _rows(f"{name}, idle", sorted(waits), TARGETS["idle"])
        waits = [_single(url, daemon, n, 900_002, "resync") for n in range(single)]
        rows += _rows(f"{name}, while a full resync runs", sorted(waits), TARGETS["resync"])
        answered = change(url, range(burst), 900_003)
        noted = _noted(daemon)
    kind = f"{size:,} instances: burst of {burst:,} PATCHes"
    queued = _since(answered, noted["came"])
    rows += _rows(f"{kind}: answered to queued", queued, TARGETS["burst"])
    rows += _rows(f"{kind}: answered to worker", _since(answered, noted["began"]))
    end = max(answered.values())
    begun = sum(1 for _, at in noted["began"] if end < at < end + SECONDS)
    rows.append(Row(f"{kind}: passes begun by 5 workers after it", begun / SECONDS, "a second"))
    return rows


def _single(url: str, daemon: Child, number: int, value: int, meanwhile: str = "") -> float:
    """One PATCH, and once what it led to is over the ms until a worker began with it."""
    if meanwhile:
        daemon.ask(meanwhile)
    answered = change(url, [number], value)
    return _since(answered, _noted(daemon)["began"])[0]


def _noted(daemon: Child) -> dict[str, Any]:
    daemon.ask("settle")
    return daemon.ask("noted")


def _since(answered: dict[str, float], noted: list[tuple[str, float]]) -> list[float]:
    first: dict[str, float] = {}
    for key, at in noted:
        first.setdefault(key, at)
    missed = answered.keys() - first.keys()
    if missed:
        raise RuntimeError(f"no worker began with {sorted(missed)[:5]}")
    return sorted(max(first[key] - at, 0) * 1000 for key, at in answered.items())


def _rows(name: str, waits: list[float], target: float | None = None) -> list[Row]:
    return [
        Row(f"{name}: p50", waits[len(waits) // 2], "ms"),
        Row(
            f"{name}: p99", waits[min(len(waits) - 1, len(waits) * 99 // 100)], "ms", target=target
        ),
    ]
