"""Small configurations for worlds in memory."""

from __future__ import annotations

from typing import Any


def configuration(port: int = 8081, text: str = "MATCH (n) RETURN n") -> dict[str, Any]:
    """A valid one: a source, a query and a reaction; another port is another configuration."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "sources": [{"id": "s", "kind": "mock", "intervalMs": 1000}],
        "queries": [{"id": "q", "query": text, "sources": [{"sourceId": "s"}]}],
        "reactions": [{"id": "r", "kind": "log", "queries": ["q"]}],
    }
