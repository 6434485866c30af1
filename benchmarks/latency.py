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
EVERY = 0.25
"""Seconds between PATCHes: an instance is restarted in less, so that a worker is free."""


def measure(server: Child, log: Path, size: int, *, single: int, burst: int) -> list[Row]:
    """Rows for `single` PATCHes one by one, as many during full resyncs, and a burst."""
    url, name = str(server.hello["url"]), f"{size:,} instances: PATCH answered to worker"
    with (
        tempfile.TemporaryDirectory() as data,
        Child(log, "benchmarks.acting_daemon", url, data) as daemon,
    ):
        answered = change(url, range(single), 2_000_001, every=EVERY)
        waits = _since(answered, _noted(daemon)["began"])
        rows = _rows(f"{name}, idle", waits, TARGETS["idle"])
        daemon.ask(f"resync {single * EVERY}")
        answered = change(url, range(single), 2_000_002, every=EVERY)
        waits = _since(answered, _noted(daemon)["began"])
        rows += _rows(f"{name}, while full resyncs run", waits, TARGETS["resync"])
        answered = change(url, range(burst), 2_000_003)
        noted = _noted(daemon)
    kind = f"burst of {burst:,}"
    queued = _since(answered, noted["came"])
    rows += _rows(f"{size:,} instances: PATCH answered to queued, {kind}", queued, TARGETS["burst"])
    rows += _rows(f"{name} (5 of them, each restarting), {kind}", _since(answered, noted["began"]))
    return rows


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
