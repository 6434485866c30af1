"""The normal form: documents that mean the same to a Drasi server have the same, and one digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from draas.model import defaults
from draas.model.canonical import LISTS, Configuration, canonical
from draas.model.json_value import encoded
from draas.model.references import reference

UNREPORTED = ("bootstrapProvider", "identityProvider")
"""Properties of sources and reactions that no server tells of."""


def normal_form(document: Mapping[str, Any]) -> Configuration:
    """The document with all that is implied made explicit and all that means nothing removed.

    Defaults of the server and of the known kinds are filled in, nulls and empty joins dropped,
    references in their object form, the three lists ordered by id, and so are what a query
    subscribes to and what a reaction listens to (B-11, B-12). Raises `ConfigurationError` as
    `canonical` does.
    """
    config = canonical(document)
    lists = {part: config.pop(part) for part in LISTS}
    form: Configuration = _filled(_settled(config), defaults.ROOT)
    if isinstance(form["logLevel"], str):
        form["logLevel"] = form["logLevel"].lower()
    form["sources"] = _ordered([_source(item) for item in lists["sources"]])
    form["queries"] = _ordered([_query(item) for item in lists["queries"]])
    form["reactions"] = _ordered([_reaction(item) for item in lists["reactions"]])
    return form


def digest(document: Mapping[str, Any]) -> str:
    """`sha256:` and the hex digest of the normal form: equal for documents that mean the same."""
    return digest_of(normal_form(document))


def observable(document: Mapping[str, Any]) -> Configuration:
    """The part of the normal form that a running server reports in its snapshot.

    That is sources, queries and reactions: no host, port or other setting of the server, and no
    provider of a source or reaction.
    """
    form = normal_form(document)
    parts: Configuration = {part: form[part] for part in LISTS}
    for part in ("sources", "reactions"):
        for item in parts[part]:
            for name in UNREPORTED:
                item.pop(name, None)
    return parts


def observable_digest(document: Mapping[str, Any]) -> str:
    """The digest of what can be observed: equal when a running server is at the document."""
    return digest_of(observable(document))


def digest_of(form: Mapping[str, Any]) -> str:
    """The digest of a form that is normal already."""
    return "sha256:" + hashlib.sha256(encoded(form).encode()).hexdigest()


def _settled(value: Any) -> Any:
    """Nulls dropped from objects, references in object form."""
    if isinstance(value, str):
        return reference(value) or value
    if isinstance(value, dict):
        return reference(value) or {k: _settled(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_settled(item) for item in value]
    return value


def _filled(item: Configuration, implied: Mapping[str, Any]) -> Configuration:
    for name, value in implied.items():
        if name not in item:
            item[name] = list(value) if isinstance(value, tuple) else value
    return item


def _members(item: Configuration) -> Configuration:
    """A component settled member by member: its own kind is never that of a reference."""
    return {name: _settled(value) for name, value in item.items() if value is not None}


def _kind_defaults(
    item: Configuration, kinds: Mapping[str, defaults.Properties]
) -> defaults.Properties:
    kind = item.get("kind")
    return kinds.get(kind, {}) if isinstance(kind, str) else {}


def _source(item: Configuration) -> Configuration:
    source = _filled(_members(item), defaults.SOURCE)
    _filled(source, _kind_defaults(source, defaults.SOURCE_KINDS))
    data = source.get("dataType")
    if source.get("kind") == "mock" and isinstance(data, dict):
        source["dataType"] = {"type": "generic"} | data
        if source["dataType"]["type"] == "sensorReading":
            source["dataType"].setdefault("sensorCount", defaults.MOCK_SENSOR_COUNT)
    return source


def _query(item: Configuration) -> Configuration:
    text = item.get("query")
    if isinstance(text, str):
        item["query"] = text.rstrip("\n")
    query = _filled(_members(item), defaults.QUERY)
    if query.get("joins") == []:
        del query["joins"]
    if isinstance(query["middleware"], list):
        query["middleware"] = [
            {"config": {}} | step if isinstance(step, dict) else step
            for step in query["middleware"]
        ]
    subscriptions = [_filled(_members(sub), defaults.SUBSCRIPTION) for sub in query["sources"]]
    query["sources"] = sorted(subscriptions, key=_subscribed)
    return query


def _subscribed(subscription: Configuration) -> tuple[str, str]:
    return encoded(subscription.get("sourceId")), encoded(subscription)


def _reaction(item: Configuration) -> Configuration:
    reaction = _filled(_members(item), defaults.REACTION)
    if isinstance(reaction["queries"], list):
        reaction["queries"] = sorted(reaction["queries"], key=encoded)
    return _filled(reaction, _kind_defaults(reaction, defaults.REACTION_KINDS))


def _ordered(items: list[Configuration]) -> list[Configuration]:
    """By id; what shares an id or has none still has one order."""
    ids = [encoded(item.get("id")) for item in items]
    ties = ids if len(set(ids)) == len(ids) else map(encoded, items)
    keyed = zip(ids, ties, items, strict=True)
    return [item for _, _, item in sorted(keyed, key=lambda entry: entry[:2])]
