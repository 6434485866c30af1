"""What a running Drasi server reports of itself, read as a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from draas.model import names
from draas.model.canonical import Configuration, canonical
from draas.model.faults import ConfigurationError, Fault, Faults
from draas.model.references import reference

INTERNAL_PREFIX = "__"
"""Ids that begin so belong to the server itself, never to a document."""


def from_snapshot(snapshot: Mapping[str, Any]) -> Configuration:
    """The components of a server's snapshot as a canonical document, to compare by `observable`.

    Names may be in any case, as the server mixes them; internal components are left out, and so
    are status, edges and unknown keys of queries. Raises `ConfigurationError` when the answer is
    not a snapshot: then the observed configuration is unknown, never empty.
    """
    faults = Faults()
    if not isinstance(snapshot, Mapping):
        raise ConfigurationError(
            [Fault("", type(snapshot).__name__, "the snapshot must be a JSON object")]
        )
    document = {
        "sources": [
            _plugin(item, path, "sourcetype", ("bootstrapProvider",), faults)
            for path, item in _components(snapshot, "sources", faults)
        ],
        "queries": [
            _query(item, path, faults) for path, item in _components(snapshot, "queries", faults)
        ],
        "reactions": [
            _plugin(item, path, "reactiontype", ("queries",), faults)
            for path, item in _components(snapshot, "reactions", faults)
        ],
    }
    if faults:
        raise ConfigurationError(faults)
    return canonical(document)


def _components(
    snapshot: Mapping[str, Any], part: str, faults: list[Fault]
) -> Iterable[tuple[str, dict[str, Any]]]:
    """The entries of one list with folded names, without the server's internal ones."""
    listed = {names.folded(str(key)): value for key, value in snapshot.items()}.get(part)
    if not isinstance(listed, list):
        faults.append(Fault(part, type(listed).__name__, "the snapshot must list them"))
        return
    for n, item in enumerate(listed):
        path = f"{part}[{n}]"
        if not isinstance(item, Mapping):
            faults.append(Fault(path, type(item).__name__, "must be an object"))
            continue
        entry = {names.folded(str(key)): value for key, value in item.items()}
        identity = entry.get("id")
        if not isinstance(identity, str) or not identity:
            faults.append(Fault(f"{path}.id", type(identity).__name__, "must be a text"))
        elif not identity.startswith(INTERNAL_PREFIX):
            yield path, entry


def _plugin(
    entry: dict[str, Any], path: str, kind: str, further: tuple[str, ...], faults: list[Fault]
) -> Configuration:
    """A source or reaction: the common members of the entry win over echoes in its properties."""
    properties = entry.get("properties")
    kind_name = entry.get(kind, entry.get("kind"))
    if not isinstance(kind_name, str):
        faults.append(Fault(f"{path}.{kind}", type(kind_name).__name__, "must be a text"))
    if not isinstance(properties, Mapping | None):
        faults.append(Fault(f"{path}.properties", type(properties).__name__, "must be an object"))
        properties = None
    component = {
        "kind": kind_name,
        "id": entry["id"],
        "autoStart": _auto_start(entry, path, faults),
    }
    for name in further:
        component[name] = entry.get(names.folded(name))
    taken = {names.folded(name) for name in component}
    rest = (properties or {}).items()
    return component | {k: v for k, v in rest if names.folded(str(k)) not in taken}


def _auto_start(entry: Mapping[str, Any], path: str, faults: list[Fault]) -> Any:
    value = entry.get("autostart", True)
    if not isinstance(value, bool) and reference(value) is None:
        faults.append(Fault(f"{path}.autoStart", type(value).__name__, "must be true or false"))
    return value


def _query(entry: dict[str, Any], path: str, faults: list[Fault]) -> Configuration:
    config = entry.get("config")
    if not isinstance(config, Mapping):
        faults.append(Fault(f"{path}.config", type(config).__name__, "must be an object"))
        return {}
    known = {
        names.QUERY[name]: value
        for key, value in config.items()
        if (name := names.folded(str(key))) in names.QUERY
    }
    # A server that does not say so does not start the query: its default is not ours.
    return {"autoStart": False} | known | {"id": entry["id"]}
