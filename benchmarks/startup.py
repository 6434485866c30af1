"""The real daemon, `draas daemon`, seen from outside: until it is ready, its memory, its rest.

The first start makes the store, for which it loads more; the figures are of those after it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.lines import Child, cpu_of, rss_of
from benchmarks.programs import DRAAS, free_port, program, wait_ready
from benchmarks.rows import Row

RSS_MIB = {0: 90, 1_000: 91, 10_000: 100}
PER_INSTANCE_KIB = 1.0
SETTLE_SECONDS = 1.0


def measure(
    server: Child, log: Path, size: int, spawns: int, rest: float, empty: float
) -> list[Row]:
    """Rows for a fleet of that size; `empty` is the memory of the daemon without any instance."""
    times, memories, shares = [], [], []
    with tempfile.TemporaryDirectory() as data:
        for number in range(spawns + 1):
            with _daemon(str(server.hello["url"]), data, log) as (process_id, seconds):
                times.append(seconds * 1000)
                time.sleep(SETTLE_SECONDS)
                memories.append(rss_of(process_id))
                if number == 1 and rest:
                    before = cpu_of(process_id)
                    time.sleep(rest)
                    shares.append((cpu_of(process_id) - before) / rest * 100)
    name, memory = f"{size:,} instances: daemon", statistics.median(memories[1:])
    again = statistics.median(times[1:])
    rows = [
        Row(f"{name} from spawn to ready, the first time", times[0], "ms"),
        Row(f"{name} from spawn to ready", again, "ms"),
        Row(f"{size:,} instances: RSS of the daemon, the first time", memories[0], "MiB"),
        Row(f"{size:,} instances: RSS of the daemon", memory, "MiB", target=RSS_MIB.get(size)),
    ]
    if size:
        each = max(memory - empty, 0) * 1024 / size
        each_name = f"{size:,} instances: RSS of the daemon, each instance"
        rows.append(Row(each_name, each, "KiB", target=PER_INSTANCE_KIB))
    rows += [Row(f"{name} at rest: CPU", share, "%") for share in shares]
    return rows


@contextmanager
def _daemon(url: str, data: str, log: Path) -> Iterator[tuple[int, float]]:
    """A daemon that is ready; its process id and the seconds that this took."""
    port = free_port()
    began = time.perf_counter()
    options = ("--data", data, "--port", str(port), f"--ControlPlaneUrl={url}")
    with program(log, DRAAS, "daemon", *options) as process:
        wait_ready(process, port)
        yield process.pid, time.perf_counter() - began
