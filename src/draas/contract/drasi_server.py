"""What a Drasi server says and understands: routes, names, defaults, error codes.

Shared by the instance host, which serves this contract, and by whoever observes or changes a
running server. Standard library only and cheap to import.
"""

from __future__ import annotations

from typing import Any, Final

API_VERSION: Final = "v1"
API_PREFIX: Final = "/api/v1"
HEALTH_PATH: Final = "/health"
VERSIONS_PATH: Final = "/api/versions"

SOURCE: Final = "source"
QUERY: Final = "query"
REACTION: Final = "reaction"
COLLECTIONS: Final[dict[str, str]] = {SOURCE: "sources", QUERY: "queries", REACTION: "reactions"}
"""Kind of component → its collection in routes, documents and snapshots."""

INTERNAL_PREFIX: Final = "__"
"""Ids that begin so belong to the server itself and are left out of lists and comparisons."""

ADDED: Final = "Added"
STARTING: Final = "Starting"
RUNNING: Final = "Running"
STOPPING: Final = "Stopping"
STOPPED: Final = "Stopped"
ERROR: Final = "Error"
RECONFIGURING: Final = "Reconfiguring"
REMOVED: Final = "Removed"
STATUSES: Final = frozenset(
    {ADDED, STARTING, RUNNING, STOPPING, STOPPED, ERROR, RECONFIGURING, REMOVED}
)

DUPLICATE_RESOURCE: Final = "DUPLICATE_RESOURCE"
CONFIG_READ_ONLY: Final = "CONFIG_READ_ONLY"
INVALID_REQUEST: Final = "INVALID_REQUEST"
INTERNAL_ERROR: Final = "INTERNAL_ERROR"
PERSISTENCE_FAILED: Final = "PERSISTENCE_FAILED"
INSTANCE_NOT_FOUND: Final = "INSTANCE_NOT_FOUND"

# What drasi-server does not know: the hand-over between two hosts of one instance.
HANDOVER: Final = "/handover"
LEADER: Final = "leader"
FOLLOWER: Final = "follower"
SEALED: Final = "sealed"
WRONG_ROLE: Final = "WRONG_ROLE"
CHANGES_GONE: Final = "CHANGES_GONE"
CROSS_SITE: Final = "CROSS_SITE"
NOT_NOW: Final = "NOT_NOW"
"""Nothing was applied, or nobody knows; the same request may be sent again."""

QUERY_LANGUAGES: Final = ("GQL", "Cypher")
DISPATCH_MODES: Final = ("Channel", "Broadcast")
LOG_LEVELS: Final = ("trace", "debug", "info", "warn", "error")

ROOT_DEFAULTS: Final[dict[str, Any]] = {
    "host": "0.0.0.0",
    "port": 8080,
    "logLevel": "info",
    "persistConfig": True,
    "persistIndex": False,
    "enableArchive": False,
    "enableUi": True,
    "autoInstallPlugins": False,
    "verifyPlugins": True,
    "hotReloadPlugins": False,
    "hotReloadDebounceMs": 2000,
}
"""Root settings and their defaults; `id` is a random UUID unless it is set."""

ROOT_KEYS: Final = frozenset(ROOT_DEFAULTS) | {
    "apiVersion",
    "id",
    "stateStore",
    "secretStore",
    "defaultPriorityQueueCapacity",
    "defaultDispatchBufferCapacity",
    "memoryBudgetMiB",
    "identityProviders",
    "bootstrapProviders",
    "sources",
    "queries",
    "reactions",
    "instances",
    "plugins",
    "pluginRegistry",
    "trustedIdentities",
    "solutionsDir",
    "corsAllowedOrigins",
    "computation",
}

QUERY_DEFAULTS: Final[dict[str, Any]] = {
    "autoStart": False,
    "queryLanguage": "GQL",
    "middleware": [],
    "sources": [],
    "enableBootstrap": True,
    "bootstrapBufferSize": 10000,
    "outboxCapacity": 1000,
    "bootstrapTimeoutSecs": 300,
}
QUERY_OPTIONAL_KEYS: Final = frozenset(
    {"joins", "priorityQueueCapacity", "dispatchBufferCapacity", "dispatchMode", "storageBackend"}
)
QUERY_KEYS: Final = frozenset(QUERY_DEFAULTS) | QUERY_OPTIONAL_KEYS | {"id", "query"}
SUBSCRIPTION_DEFAULTS: Final[dict[str, Any]] = {"nodes": [], "relations": [], "pipeline": []}
SUBSCRIPTION_KEYS: Final = frozenset(SUBSCRIPTION_DEFAULTS) | {"sourceId"}

COMPONENT_AUTO_START: Final = True
"""Sources and reactions start by themselves unless told otherwise; queries do not."""

SNAPSHOT_QUERY_NAMES: Final[dict[str, str]] = {
    "autoStart": "auto_start",
    "outboxCapacity": "outbox_capacity",
    "bootstrapTimeoutSecs": "bootstrap_timeout_secs",
    "priorityQueueCapacity": "priority_queue_capacity",
    "dispatchBufferCapacity": "dispatch_buffer_capacity",
    "dispatchMode": "dispatch_mode",
    "storageBackend": "storage_backend",
}
"""Keys of a query that a snapshot spells in snake case; its other keys stay in camel case."""

SNAPSHOT_SUBSCRIPTION_NAMES: Final[dict[str, str]] = {"sourceId": "source_id"}


_STATUSES: Final = {
    INVALID_REQUEST: 400,
    CROSS_SITE: 403,
    DUPLICATE_RESOURCE: 409,
    CONFIG_READ_ONLY: 409,
    WRONG_ROLE: 409,
    CHANGES_GONE: 409,
    NOT_NOW: 503,
}


def http_status(code: str) -> int:
    """The HTTP status of an error code: 404, or what the table says, else 500."""
    return 404 if code.endswith("_NOT_FOUND") else _STATUSES.get(code, 500)


def not_found(kind: str) -> str:
    """The code for an unknown component of `kind`, such as `QUERY_NOT_FOUND`."""
    return f"{kind.upper()}_NOT_FOUND"


def failed(kind: str, verb: str) -> str:
    """The code for a failed CREATE, START, STOP or DELETE, such as `SOURCE_DELETE_FAILED`."""
    return f"{kind.upper()}_{verb}_FAILED"


def instance_path(instance_id: str) -> str:
    """The base of an instance's routes; the routes without it act on the first instance."""
    return f"{API_PREFIX}/instances/{instance_id}"


def component_path(instance_id: str, kind: str, component_id: str) -> str:
    """The route of one component of an instance."""
    return f"{instance_path(instance_id)}/{COLLECTIONS[kind]}/{component_id}"
