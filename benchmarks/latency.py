"""From the answer to a PATCH to the daemon's worker that begins with the instance.

Both instants are of the machine's monotonic clock: one taken by the client when it has the answer,
the other by the daemon's queue when a worker takes the key. Where the worker begins before the
client has its answer, the time is negative; it counts as 0.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.lines import Child
from benchmarks.patches import change
from benchmarks.rows import Row

TARGETS = {"idle": 5, "burst": 50, "resync": 25}
IDLE_EVERY = 0.04


def measure(server: Child, log: Path, size: int, *, idle: int, burst: int) -> list[Row]:
    """Rows for `idle` PATCHes one by one, a burst of `burst`, and PATCHes during full resyncs."""
    url, name = str(server.hello["url"]), f"{size:,} instances: PATCH answered to worker"
    with (
        tempfile.TemporaryDirectory() as data,
        Child(log, "benchmarks.acting_daemon", url, data) as daemon,
    ):
        daemon.ask("settle")
        seed = int(time.monotonic() * 10) % 1_000_000 + 2_000_000
        daemon.ask("noted")
        answered = change(url, range(idle), seed, every=IDLE_EVERY)
        rows = _rows(f"{name}, idle", _waits(daemon, answered, "began"), TARGETS["idle"])
        daemon.ask(f"resync {idle * IDLE_EVERY * 1.2}")
        answered = change(url, range(idle), seed + 1, every=IDLE_EVERY)
        waits = _waits(daemon, answered, "began")
        rows += _rows(f"{name}, while full resyncs run", waits, TARGETS["resync"])
        answered = change(url, range(burst), seed + 2)
        daemon.ask("settle")
        noted = daemon.ask("noted")
    kind = f"burst of {burst:,}"
    queued = _since(answered, noted["came"])
    rows += _rows(f"{size:,} instances: PATCH answered to queued, {kind}", queued, TARGETS["burst"])
    rows += _rows(f"{name} (5 of them, each restarting), {kind}", _since(answered, noted["began"]))
    return rows


def _waits(daemon: Child, answered: dict[str, float], what: str) -> list[float]:
    daemon.ask("settle")
    return _since(answered, daemon.ask("noted")[what])


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
