"""What it takes to carry a server's state over a restart: export, and start with what was exported.

The included server alone, with one http source and one query over all its elements.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.programs import HOST, free_port, program, wait_ready
from benchmarks.rows import Row

BATCH = 1_000


def measure(elements: int, spawns: int) -> list[Row]:
    """Rows for that many elements; medians of several restarts."""
    exports, starts = [], []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        port, source = free_port(), free_port()
        config, kept = directory / "server.json", directory / "elements.ndjson"
        config.write_text(json.dumps(_configuration(port, source)))
        options = ["--config", str(config)]
        base = f"http://127.0.0.1:{port}/api/v1"
        for number in range(spawns + 1):
            began = time.perf_counter()
            with program(directory / "out.txt", HOST, *options) as process:
                wait_ready(process, port, "/health")
                if number == 0:
                    _fill(source, elements)
                    options += ["--restore", str(kept)]
                else:
                    starts.append((time.perf_counter() - began) * 1000)
                began = time.perf_counter()
                _ask(f"{base}/handover/seal", {})
                kept.write_bytes(_ask(f"{base}/handover/elements"))
                exports.append((time.perf_counter() - began) * 1000)
                found = json.loads(_ask(f"{base}/queries/all/results"))["data"]
                if len(found) != elements:
                    raise RuntimeError(f"{len(found)} of {elements} elements are there")
    what = f"hand-over of {elements:,} elements"
    return [
        Row(f"{what}: seal and export", statistics.median(exports), "ms"),
        Row(f"{what}: spawn to healthy with them", statistics.median(starts), "ms"),
    ]


def _fill(source: int, elements: int) -> None:
    for first in range(0, elements, BATCH):
        events = [_event(number) for number in range(first, min(first + BATCH, elements))]
        _ask(f"http://127.0.0.1:{source}/sources/orders/events/batch", {"events": events})


def _event(number: int) -> dict[str, Any]:
    properties = {"id": f"o{number}", "price": number % 97, "region": "north-west"}
    element = {"type": "node", "id": f"o{number}", "labels": ["Order"], "properties": properties}
    return {"operation": "insert", "element": element}


def _ask(url: str, body: Any = None) -> bytes:
    """The answer to a POST of the body, or to a GET without one."""
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})
    if body is not None:
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def _configuration(port: int, source: int) -> dict[str, Any]:
    return {
        "id": "measured",
        "host": "127.0.0.1",
        "port": port,
        "persistConfig": False,
        "sources": [{"kind": "http", "id": "orders", "host": "127.0.0.1", "port": source}],
        "queries": [
            {
                "id": "all",
                "query": "MATCH (o:Order) RETURN o.id AS id, o.price AS price",
                "sources": [{"sourceId": "orders"}],
                "autoStart": True,
            }
        ],
        "reactions": [],
    }
