"""What one instance host costs: from spawn to a healthy answer, and resident memory.

One mock source, three queries and one log reaction, as the median of several spawns.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.programs import HOST, free_port, program, wait_ready

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
        port = free_port()
        config = Path(directory) / "server.json"
        config.write_text(json.dumps(_configuration(port)))
        began = time.perf_counter()
        with program(Path(directory) / "out.txt", HOST, "--config", str(config)) as process:
            wait_ready(process, port, "/health")
            milliseconds = (time.perf_counter() - began) * 1000
            time.sleep(SETTLE_SECONDS)
            memory = psutil.Process(process.pid).memory_info()
    return milliseconds, memory.rss / MIB, (memory.rss - memory.shared) / MIB


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
