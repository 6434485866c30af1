"""What a Drasi server assumes when a property is absent: the values that make absence explicit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Properties = Mapping[str, Any]

CAPACITY_LIMIT = 1_000_000
"""What a queue may hold at most: some kinds take the memory for all of it at once."""

ROOT: Properties = {
    "host": "0.0.0.0",
    "port": 8080,
    "logLevel": "info",
    # drasi-server's own default is true. A server of ours is launched with false unless the
    # document says otherwise, because a file rewritten by the server is no desired state.
    "persistConfig": False,
    "persistIndex": False,
    "enableArchive": False,
    "enableUi": True,
    "autoInstallPlugins": False,
    "verifyPlugins": True,
    "hotReloadPlugins": False,
    "hotReloadDebounceMs": 2000,
}

QUERY: Properties = {
    # drasi-server's own default is false: a query nobody starts. Ours is true, and written out.
    "autoStart": True,
    "queryLanguage": "GQL",
    "middleware": (),
    "sources": (),
    "enableBootstrap": True,
    "bootstrapBufferSize": 10000,
    "outboxCapacity": 1000,
    "bootstrapTimeoutSecs": 300,
}

SUBSCRIPTION: Properties = {"nodes": (), "relations": (), "pipeline": ()}

SOURCE: Properties = {"autoStart": True}

REACTION: Properties = {"autoStart": True, "queries": ()}

SOURCE_KINDS: Mapping[str, Properties] = {
    "mock": {"intervalMs": 5000, "dataType": {"type": "generic"}},
    "http": {"timeoutMs": 10000},
    "postgres": {
        "host": "localhost",
        "port": 5432,
        "slotName": "drasi_slot",
        "publicationName": "drasi_publication",
        "sslMode": "prefer",
    },
}

REACTION_KINDS: Mapping[str, Properties] = {"http": {"timeoutMs": 5000}}

MOCK_SENSOR_COUNT = 5
"""How many sensors a mock source of type `sensorReading` has unless it says otherwise."""

EXACT_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "queryLanguage": ("Cypher", "GQL"),
    "dispatchMode": ("Channel", "Broadcast"),
}
"""Values that drasi-server accepts in one spelling only; ours is corrected to it."""
