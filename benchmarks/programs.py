"""The programs of a user in the background, and when they are ready."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0
DRAAS = "draas.entrypoints.draas"
HOST = "draas.entrypoints.instance"


@contextmanager
def program(log: Path, module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A module that runs until the end of the block, its output in the log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def wait_ready(process: subprocess.Popen[bytes], port: int, path: str = "/ready") -> None:
    """Wait until it answers 200."""
    deadline = time.perf_counter() + PATIENCE
    while process.poll() is None and time.perf_counter() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.002)
    raise RuntimeError(f"{process.args!r} is not ready; exit code {process.returncode}")


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
