"""The real daemon, `draas daemon`, seen from outside: until it is ready, its memory, its rest.

The first start makes the store, for which it loads more; the figures are of those after it.
"""

from __future__ import annotations

import http.client
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.lines import Child, cpu_of, rss_of
from benchmarks.rows import Row

RSS_MIB = {0: 90, 1_000: 91, 10_000: 100}
PER_INSTANCE_KIB = 1.0
SETTLE_SECONDS = 1.0
PATIENCE = 30.0


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
    with log.open("ab") as output:
        port = _free_port()
        began = time.perf_counter()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "draas.entrypoints.draas", "daemon", "--data", data),
                *("--port", str(port), f"--ControlPlaneUrl={url}"),
            ],
            stdout=output,
            stderr=output,
        )
        try:
            _wait_ready(process, port, began + PATIENCE)
            yield process.pid, time.perf_counter() - began
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _wait_ready(process: subprocess.Popen[bytes], port: int, deadline: float) -> None:
    while process.poll() is None and time.perf_counter() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise RuntimeError(f"the daemon is not ready; exit code {process.returncode}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
