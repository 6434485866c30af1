"""The property names of a Drasi server's document, each at its place and under all its spellings.

A known name is recognised in any case and from snake_case, because servers, clients and files
disagree (B-78). Every other name is the business of a plugin and keeps its spelling (B-14).
"""

from __future__ import annotations

from collections.abc import Mapping

Names = Mapping[str, str]
"""From the folded spelling to the canonical name."""


def folded(name: str) -> str:
    """What all spellings of one name share: `auto_start`, `AutoStart` and `autoStart` agree."""
    return name.replace("_", "").lower()


def _table(*names: str, **aliases: str) -> Names:
    return {folded(name): name for name in names} | aliases


ROOT = _table(
    "apiVersion",
    "id",
    "host",
    "port",
    "logLevel",
    "persistConfig",
    "persistIndex",
    "enableArchive",
    "enableUi",
    "stateStore",
    "secretStore",
    "defaultPriorityQueueCapacity",
    "defaultDispatchBufferCapacity",
    "memoryBudgetMiB",
    "corsAllowedOrigins",
    "plugins",
    "pluginRegistry",
    "autoInstallPlugins",
    "verifyPlugins",
    "trustedIdentities",
    "hotReloadPlugins",
    "hotReloadDebounceMs",
    "identityProviders",
    "bootstrapProviders",
    "solutionsDir",
    "computation",
    "sources",
    "queries",
    "reactions",
    "instances",
)
"""The root of the document. drasi-server refuses any other key there."""

SOURCE = _table("kind", "id", "autoStart", "bootstrapProvider", "identityProvider")
"""Common to all sources; further keys belong to the source's kind."""

QUERY = _table(
    "id",
    "query",
    "queryLanguage",
    "autoStart",
    "sources",
    "joins",
    "middleware",
    "enableBootstrap",
    "bootstrapBufferSize",
    "bootstrapTimeoutSecs",
    "priorityQueueCapacity",
    "dispatchBufferCapacity",
    "dispatchMode",
    "outboxCapacity",
    "storageBackend",
    querytext="query",
)
"""A query; drasi-server refuses any other key. `queryText` is the prototype's word for `query`."""

SUBSCRIPTION = _table("sourceId", "nodes", "relations", "pipeline")
"""One entry of a query's `sources`."""

REACTION = _table("kind", "id", "autoStart", "queries", "identityProvider")
"""Common to all reactions; further keys belong to the reaction's kind."""

COMPONENTS: Mapping[str, Names] = {"sources": SOURCE, "queries": QUERY, "reactions": REACTION}
"""The three lists of the document and the names of their entries."""

NESTED_SERVER = "serverconfiguration"
"""The folded name of the object in which the source document nests host, port and logLevel."""
