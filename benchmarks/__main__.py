"""`python -m benchmarks`: measure everything and write the results; `--quick` only tries it out."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import (
    cycles,
    downtime,
    handover,
    hot_apply,
    instance_host,
    latency,
    page,
    router,
    startup,
)
from benchmarks.lines import Child
from benchmarks.rows import Row

ROOT = Path(__file__).parent.parent
HOST_TARGETS = {"instance host: spawn to healthy": 250, "instance host: RSS": 45}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    sizes: tuple[int, ...]
    rounds: int
    spawns: int
    rest: float
    single: int
    burst: int
    host_spawns: int
    elements: int
    strategies: tuple[str, ...]
    changes: int
    requests: int


FULL = Extent(
    sizes=(1_000, 10_000),
    rounds=9,
    spawns=3,
    rest=5,
    single=40,
    burst=1_000,
    host_spawns=7,
    elements=10_000,
    strategies=tuple({case.strategy: None for case in downtime.CASES}),
    changes=3,
    requests=2_000,
)
QUICK = Extent(
    sizes=(50,),
    rounds=1,
    spawns=1,
    rest=0,
    single=5,
    burst=20,
    host_spawns=1,
    elements=100,
    strategies=("HotApply", "RollingUpdate"),
    changes=1,
    requests=20,
)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small fleet, one round")
    parser.add_argument("--output", type=Path, default=ROOT, help="where build/ and docs/ are")
    parser.add_argument("--only", choices=PARTS, help="measure a part, and write nothing")
    given = parser.parse_args()
    extent = QUICK if given.quick else FULL
    if given.only:
        with tempfile.TemporaryDirectory() as directory:
            PARTS[given.only](extent, Path(directory), [])
        return
    load, began = os.getloadavg()[0], time.perf_counter()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory:
        for part in PARTS.values():
            part(extent, Path(directory), rows)
    page.write(rows, given.output, time.perf_counter() - began, load)


def _fleets(extent: Extent, directory: Path, rows: list[Row]) -> None:
    log = directory / "log.txt"
    with _server(log, directory / "0", 0) as server:
        _take(rows, startup.measure(server, log, 0, extent.spawns, 0, 0))
    empty = next(row.value for row in rows if row.name.endswith("RSS of the daemon"))
    for size in extent.sizes:
        with _server(log, directory / str(size), size) as server:
            _take(rows, startup.measure(server, log, size, extent.spawns, extent.rest, empty))
            _take(rows, cycles.measure(server, log, size, extent.rounds))
    # On fleets of their own: an acting daemon would first repair what the cycles left changed.
    for size in extent.sizes:
        with _server(log, directory / f"latency-{size}", size) as server:
            single, burst = extent.single, extent.burst
            _take(rows, latency.measure(server, log, size, single=single, burst=burst))


def _hosts(extent: Extent, directory: Path, rows: list[Row]) -> None:
    _take(rows, _host(extent.host_spawns))
    _take(rows, handover.measure(extent.elements, extent.changes))


def _strategies(extent: Extent, directory: Path, rows: list[Row]) -> None:
    log = directory / "log.txt"
    _take(rows, downtime.measure(log, extent.strategies, extent.changes))
    _take(rows, hot_apply.measure(log, extent.changes, extent.elements // 10))
    _take(rows, router.measure(log, extent.requests, extent.changes))


PARTS: dict[str, Callable[[Extent, Path, list[Row]], None]] = {
    "fleets": _fleets,
    "host": _hosts,
    "strategies": _strategies,
}
"""What is measured; each row is printed when it is known."""


def _server(log: Path, data: Path, size: int) -> Child:
    data.mkdir()
    return Child(log, "benchmarks.fleet_server", str(data), str(size))


def _host(spawns: int) -> list[Row]:
    return [
        Row(
            str(row["name"]),
            float(str(row["value"])),
            str(row["unit"]),
            None,
            HOST_TARGETS.get(str(row["name"])),
        )
        for row in instance_host.measure(spawns)
    ]


def _take(rows: list[Row], measured: list[Row]) -> None:
    for row in measured:
        here, naive, ratio, target = row.as_cells()
        print(
            f"{row.name}: {here}"
            + (f" (naive {naive}, {ratio})" if ratio else "")
            + (f" target {target}" if target else ""),
            flush=True,
        )
    rows += measured


if __name__ == "__main__":
    main()
