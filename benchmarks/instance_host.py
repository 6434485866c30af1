"""What one instance host costs: from spawn to a healthy answer, and resident memory.

One mock source, three queries and one log reaction, as the median of several spawns.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SPAWNS = 7
SETTLE_SECONDS = 1.0
MIB = 1024 * 1024


def measure(spawns: int = SPAWNS) -> list[dict[str, object]]:
    """Rows of name, value and unit."""
    samples = [_spawn() for _ in range(spawns)]
    names = (
        ("instance host: spawn to healthy", "ms"),
        ("instance host: RSS", "MiB"),
        ("instance host: anonymous (private) memory", "MiB"),
    )
    return [
        {"name": name, "value": round(statistics.median(values), 1), "unit": unit}
        for (name, unit), values in zip(names, zip(*samples, strict=True), strict=True)
    ]


def _spawn() -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as directory:
        port = _free_port()
        config = Path(directory) / "server.json"
        config.write_text(json.dumps(_configuration(port)))
        with (Path(directory) / "out.txt").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "draas.entrypoints.instance", "--config", str(config)],
                stdout=log,
                stderr=log,
            )
            try:
                _wait_healthy(process, port)
                milliseconds = (time.perf_counter() - began) * 1000
                time.sleep(SETTLE_SECONDS)
                memory = psutil.Process(process.pid).memory_info()
            finally:
                process.terminate()
                process.wait(10)
        return milliseconds, memory.rss / MIB, (memory.rss - memory.shared) / MIB


def _wait_healthy(process: subprocess.Popen[bytes], port: int) -> None:
    request = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    while process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(request)
                if connection.recv(12).endswith(b"200"):
                    return
        except ConnectionError:
            time.sleep(0.002)
    raise RuntimeError(f"the host ended with exit code {process.returncode}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _configuration(port: int) -> dict[str, object]:
    queries = {
        "all": "MATCH (s:SensorReading) RETURN s.sensor_id AS id, s.temperature AS temperature",
        "hot": "MATCH (s:SensorReading) WHERE s.temperature > 25 RETURN s.sensor_id AS id",
        "count": "MATCH (s:SensorReading) RETURN count(s) AS readings",
    }
    mock = {"type": "sensorReading", "sensorCount": 5}
    return {
        "id": "measured",
        "host": "127.0.0.1",
        "port": port,
        "persistConfig": False,
        "sources": [{"kind": "mock", "id": "sensors", "dataType": mock, "intervalMs": 100}],
        "queries": [
            {"id": id, "query": text, "sources": [{"sourceId": "sensors"}], "autoStart": True}
            for id, text in queries.items()
        ],
        "reactions": [{"kind": "log", "id": "log", "queries": list(queries)}],
    }


if __name__ == "__main__":
    for row in measure():
        print(f"{row['name']}: {row['value']} {row['unit']}")
