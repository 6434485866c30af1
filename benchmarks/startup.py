"""The real daemon, `draas daemon`, seen from outside: until it is ready, its memory, its rest."""

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
    for number in range(spawns):
        with _daemon(str(server.hello["url"]), log) as (process_id, seconds):
            times.append(seconds * 1000)
            time.sleep(SETTLE_SECONDS)
            memories.append(rss_of(process_id))
            if number == 0 and rest:
                before = cpu_of(process_id)
                time.sleep(rest)
                shares.append((cpu_of(process_id) - before) / rest * 100)
    memory = statistics.median(memories)
    rows = [
        Row(f"{size:,} instances: daemon from spawn to ready", statistics.median(times), "ms"),
        Row(f"{size:,} instances: RSS of the daemon", memory, "MiB", target=RSS_MIB.get(size)),
    ]
    if size:
        each = max(memory - empty, 0) * 1024 / size
        name = f"{size:,} instances: RSS of the daemon, each instance"
        rows.append(Row(name, each, "KiB", target=PER_INSTANCE_KIB))
    rows += [Row(f"{size:,} instances: daemon at rest: CPU", share, "%") for share in shares]
    return rows


@contextmanager
def _daemon(url: str, log: Path) -> Iterator[tuple[int, float]]:
    """A daemon that is ready; its process id and the seconds that this took."""
    with tempfile.TemporaryDirectory() as data, log.open("ab") as output:
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
