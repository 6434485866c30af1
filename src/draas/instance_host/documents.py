"""The shapes of configuration documents: what is refused, and how they are shown again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from draas.contract.drasi_server import (
    COLLECTIONS,
    DISPATCH_MODES,
    INTERNAL_PREFIX,
    QUERY,
    QUERY_DEFAULTS,
    QUERY_KEYS,
    QUERY_LANGUAGES,
    REACTION,
    ROOT_KEYS,
    SNAPSHOT_QUERY_NAMES,
    SNAPSHOT_SUBSCRIPTION_NAMES,
    SOURCE,
    SUBSCRIPTION_DEFAULTS,
    SUBSCRIPTION_KEYS,
)
from draas.instance_host.errors import invalid
from draas.instance_host.values import flag_of, resolve, text_of, whole_of
from draas.model.defaults import CAPACITY_LIMIT
from draas.model.references import reference

Document = dict[str, Any]

ID_LIMIT = 1000
"""Characters of an id: every list and every link carries it."""

DEPTH_LIMIT = 256
"""Brackets in one another in a query's text: at some 1,500 the engine's parser ends the process."""
_BRACKET = re.compile(r"[()\[\]{}]")

_COMMON = frozenset({"kind", "id", "autoStart", "bootstrapProvider", "identityProvider"})
_NOT_PROPERTIES = {SOURCE: _COMMON, REACTION: _COMMON | {"queries"}}
_AS_WRITTEN = ("id", "identityProvider")
"""What is no reference, and what has no effect here."""
_FLAGS = ("autoStart", "enableBootstrap")
_CAPACITY = (1, CAPACITY_LIMIT)
_COUNTS = {
    "bootstrapBufferSize": _CAPACITY,
    "outboxCapacity": _CAPACITY,
    "bootstrapTimeoutSecs": (0, 2**31 - 1),
    "priorityQueueCapacity": _CAPACITY,
    "dispatchBufferCapacity": _CAPACITY,
}
"""Whole numbers of a query, each with the least and the most."""


def check_root(document: Any) -> Document:
    """The configuration file's document, else `ApiError` naming the first fault."""
    root = _object(document, "configuration")
    _only(root, ROOT_KEYS, "configuration")
    if root.get("instances"):
        raise invalid("configuration.instances: one process serves one instance; use the root keys")
    for kind, collection in COLLECTIONS.items():
        entries = _list(root, collection, "configuration")
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            component = check_component(kind, entry, f"{collection}[{index}]")
            if component["id"] in seen:
                raise invalid(f"{collection}[{index}]: id '{component['id']}' is used twice")
            seen.add(component["id"])
    return root


def check_component(kind: str, document: Any, path: str) -> Document:
    """The document of one source, query or reaction, else `ApiError` (400).

    A reference may stand for a value; what it stands for is checked by `resolved_component`.
    """
    component = _object(document, path)
    component_id = text_of(component.get("id"), f"{path}.id")
    if component_id.startswith(INTERNAL_PREFIX):
        raise invalid(f"{path}.id: ids that begin with {INTERNAL_PREFIX} are internal")
    if len(component_id) > ID_LIMIT:
        raise invalid(f"{path}.id: has {len(component_id)} characters; use at most {ID_LIMIT}")
    for flag in _FLAGS:
        value = component.get(flag, True)
        if not isinstance(value, bool) and reference(value) is None:
            raise invalid(f"{path}.{flag}: must be true or false")
    if kind == QUERY:
        _check_query(component, path)
        return component
    _text_or_reference(component.get("kind"), f"{path}.kind")
    if kind == REACTION:
        for index, name in enumerate(_list(component, "queries", path)):
            text_of(name, f"{path}.queries[{index}]")
    return component


def resolved_component(
    kind: str, document: Document, environment: Mapping[str, str], path: str
) -> Document:
    """A checked document as it is used: values for references, true and false, numbers.

    `ApiError` (400) names what cannot be resolved, or makes no sense once it is.
    """
    resolved = {
        key: value if key in _AS_WRITTEN else resolve(value, environment, f"{path}.{key}")
        for key, value in document.items()
    }
    for flag in _FLAGS:
        if flag in resolved:
            resolved[flag] = flag_of(resolved[flag], f"{path}.{flag}")
    for count, bounds in _COUNTS.items() if kind == QUERY else ():
        if resolved.get(count) is not None:
            resolved[count] = whole_of(resolved[count], f"{path}.{count}", *bounds)
    return check_component(kind, resolved, path)


def properties(kind: str, component: Document) -> Document:
    """What belongs to the kind of a source or reaction: everything but the common keys."""
    return {key: value for key, value in component.items() if key not in _NOT_PROPERTIES[kind]}


def complete_query(query: Document) -> Document:
    """A query with drasi-server's defaults, in camel case, without nulls."""
    whole = {**QUERY_DEFAULTS, **{key: value for key, value in query.items() if value is not None}}
    whole["sources"] = [{**SUBSCRIPTION_DEFAULTS, **entry} for entry in whole["sources"]]
    return whole


def snapshot_query(query: Document) -> Document:
    """A complete query in the mixed spelling of snapshots."""
    whole = complete_query(query)
    whole["sources"] = [_renamed(entry, SNAPSHOT_SUBSCRIPTION_NAMES) for entry in whole["sources"]]
    return _renamed(whole, SNAPSHOT_QUERY_NAMES)


def _check_query(query: Document, path: str) -> None:
    if "queryText" in query:
        raise invalid(f"{path}: unknown field `queryText`; the query's text is `query`")
    _only(query, QUERY_KEYS, path)
    _text_or_reference(query.get("query"), f"{path}.query")
    if _depth(query["query"]) > DEPTH_LIMIT:
        raise invalid(f"{path}.query: has more than {DEPTH_LIMIT} brackets in one another")
    _one_of(query, "queryLanguage", QUERY_LANGUAGES, path)
    _one_of(query, "dispatchMode", DISPATCH_MODES, path)
    for key, bounds in _COUNTS.items():
        if query.get(key) is not None and reference(query[key]) is None:
            whole_of(query[key], f"{path}.{key}", *bounds)
    if query.get("storageBackend") is not None:
        raise invalid(f"{path}.storageBackend: this host keeps indexes in memory; leave it out")
    for key in ("middleware", "joins"):
        for index, entry in enumerate(_list(query, key, path)):
            _object(entry, f"{path}.{key}[{index}]")
    for index, entry in enumerate(_list(query, "sources", path)):
        where = f"{path}.sources[{index}]"
        _only(_object(entry, where), SUBSCRIPTION_KEYS, where)
        _text_or_reference(entry.get("sourceId"), f"{where}.sourceId")


def _depth(text: Any) -> int:
    """How deep brackets are in one another, those of literals too."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(text) if isinstance(text, str) else ():
        depth = depth + 1 if bracket in "([{" else max(0, depth - 1)
        deepest = max(deepest, depth)
    return deepest


def _text_or_reference(value: Any, path: str) -> None:
    if reference(value) is None:
        text_of(value, path)


def _one_of(document: Document, key: str, allowed: Iterable[str], path: str) -> None:
    value = document.get(key)
    if value is None or reference(value) is not None:
        return
    if value not in allowed:
        raise invalid(f"{path}.{key}: must be one of {', '.join(allowed)}")


def _list(document: Document, key: str, path: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid(f"{path}.{key}: must be a list")
    return value


def _object(value: Any, path: str) -> Document:
    if not isinstance(value, dict):
        raise invalid(f"{path}: must be an object")
    return value


def _only(document: Document, allowed: frozenset[str], path: str) -> None:
    unknown = sorted(str(key) for key in document if key not in allowed)
    if unknown:
        raise invalid(
            f"{path}: unknown field `{unknown[0]}`, expected one of {', '.join(sorted(allowed))}"
        )


def _renamed(document: Document, names: dict[str, str]) -> Document:
    return {names.get(key, key): value for key, value in document.items()}
