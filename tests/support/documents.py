"""Configurations for tests: a realistic one, a strategy of many, and other ways to spell them."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: a busy machine is no failure."""

REALISTIC: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 8081,
    "logLevel": "info",
    "sources": [
        {
            "kind": "postgres",
            "id": "pg",
            "host": "db",
            "password": "hunter2",
            "tables": ["orders", "customers"],
            "bootstrapProvider": {"kind": "postgres"},
        },
        {"kind": "mock", "id": "sensors", "dataType": {"type": "sensorReading"}},
    ],
    "queries": [
        {
            "id": "open-orders",
            "query": "MATCH (o:Order) WHERE o.open RETURN o.id",
            "sources": [{"sourceId": "pg", "nodes": ["Order"]}],
        },
        {"id": "hot", "query": "MATCH (s) RETURN s", "sources": [{"sourceId": "sensors"}]},
    ],
    "reactions": [
        {"kind": "http", "id": "hook", "queries": ["open-orders"], "baseUrl": "http://h/x"},
        {"kind": "log", "id": "log", "queries": ["hot", "open-orders"], "routes": {"hot": {}}},
    ],
}

_words = st.sampled_from(["a", "b", "Zed", "snake_case", "PascalCase", "x.y", "password", "tables"])
_texts = st.one_of(
    st.text("ab $\nÄ", max_size=4), st.sampled_from(["${V}", "${V:-d}", "a\r\nb\n", "x://u:p@h"])
)
_atoms = st.one_of(st.none(), st.booleans(), st.integers(-3, 99999), st.floats(-2, 2), _texts)
json_values = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_words, inner, max_size=3)
    ),
    max_leaves=6,
)
_extras = st.dictionaries(_words, json_values, max_size=3)
_ids = st.sampled_from(["pg", "sensors", "q1", "q2", "r-1", "Ä"])


def _plugins(kinds: list[str], **common: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    required = st.fixed_dictionaries(
        {"kind": st.sampled_from(kinds), "id": _ids},
        optional={"autoStart": st.booleans(), **common},
    )
    return st.builds(lambda extra, item: extra | item, _extras, required)


_subscriptions = st.fixed_dictionaries(
    {"sourceId": _ids}, optional={"nodes": st.lists(_ids, max_size=2), "pipeline": st.just([])}
)
_queries = st.fixed_dictionaries(
    {"id": _ids, "query": _texts},
    optional={
        "autoStart": st.booleans(),
        "queryLanguage": st.sampled_from(["GQL", "Cypher", "cypher"]),
        "sources": st.lists(_subscriptions, max_size=2),
        "joins": st.one_of(st.just([]), st.lists(_extras, max_size=2)),
        "middleware": st.lists(_extras, max_size=2),
        "enableBootstrap": st.booleans(),
        "outboxCapacity": st.sampled_from([None, 1000, 5]),
        "dispatchMode": st.sampled_from(["Channel", "Broadcast"]),
    },
)


def _lists(items: st.SearchStrategy[Any], *, unique: bool) -> st.SearchStrategy[Any]:
    return st.lists(items, max_size=3, unique_by=(lambda item: item["id"]) if unique else None)


def documents(*, unique: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Canonical-spelled documents with unknown properties; ids may collide unless `unique`."""
    root = st.fixed_dictionaries(
        {},
        optional={
            "host": st.sampled_from(["0.0.0.0", "127.0.0.1"]),
            "port": st.sampled_from([8080, 8081, 8081.0]),
            "logLevel": st.sampled_from(["info", "INFO", "debug"]),
            "persistIndex": st.booleans(),
            "stateStore": json_values,
            "sources": _lists(_plugins(["mock", "http", "postgres", "odd"]), unique=unique),
            "queries": _lists(_queries, unique=unique),
            "reactions": _lists(
                _plugins(["log", "http"], queries=st.lists(_ids, max_size=2)), unique=unique
            ),
        },
    )
    return st.builds(lambda extra, document: extra | document, _extras, root)


def respelled(document: dict[str, Any], *, pascal: bool = True) -> dict[str, Any]:
    """The same document in the words of other clients: known names changed, server nested,
    every list and object in reverse order."""

    def spell(name: str) -> str:
        if pascal:
            return name[0].upper() + name[1:]
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)

    def spelled(item: dict[str, Any], known: set[str]) -> dict[str, Any]:
        return {spell(k) if k in known else k: v for k, v in reversed(item.items())}

    query_names = {"id", "autoStart", "queryLanguage", "joins", "middleware", "enableBootstrap"}
    changed = spelled(document, {"persistIndex", "stateStore"})
    server: dict[str, Any] = {
        k: changed.pop(k) for k in ("host", "port", "logLevel") if k in changed
    }
    for part in ("sources", "queries", "reactions"):
        items = []
        for item in reversed(changed.pop(part, [])):
            known = {"kind", "id", "autoStart", "queries"} if part != "queries" else query_names
            known = known - {"queries"} if part == "sources" else known
            new = spelled(item, known)
            if part == "queries":
                new["QueryText"] = new.pop("query")
                if "sources" in new:
                    new[spell("sources")] = [
                        spelled(sub, {"sourceId", "nodes"}) for sub in reversed(new.pop("sources"))
                    ]
            if part == "reactions" and "queries" in item:
                new[spell("queries")] = item["queries"][::-1]
            items.append(new)
        changed[spell(part)] = items
    changed[spell("serverConfiguration")] = spelled(server, {"host", "port", "logLevel"})
    return changed


def snapshot_of(form: dict[str, Any], *, snake: bool = True) -> dict[str, Any]:
    """What a server that runs the normal form `form` answers to a request for its snapshot."""

    def plugin(item: dict[str, Any], kind: str, *common: str) -> dict[str, Any]:
        hidden = {"kind", "id", "autoStart", "bootstrapProvider", "identityProvider", *common}
        return {
            "id": item["id"],
            kind: item["kind"],
            "status": "Running",
            "auto_start" if snake else "autoStart": item["autoStart"],
            "properties": {k: v for k, v in item.items() if k not in hidden},
            **{name: item[name] for name in common},
        }

    def query(item: dict[str, Any]) -> dict[str, Any]:
        config = {k: v for k, v in item.items() if k != "autoStart"}
        subs = config["sources"]
        config["sources"] = [
            {"source_id" if k == "sourceId" else k: v for k, v in sub.items()} for sub in subs
        ]
        config["auto_start" if snake else "autoStart"] = item["autoStart"]
        config["priority_queue_capacity"] = None
        return {"id": item["id"], "config": config, "status": "Running"}

    return {
        "instance_id": "i",
        "timestamp": "2026-01-01T00:00:00Z",
        "sources": [
            {"id": "__component_graph__", "source_type": "internal", "auto_start": True},
            *(plugin(item, "source_type") for item in form["sources"]),
        ],
        "queries": [query(item) for item in form["queries"]],
        "reactions": [plugin(item, "reaction_type", "queries") for item in form["reactions"]],
        "edges": [],
    }
