"""Whether a configuration can be run: every fault by path, before anything is changed (B-80)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

from draas.decide.hints import Hints
from draas.decide.kinds import (
    Kinds,
    Rule,
    clashes,
    objects,
    or_reference,
    rules_of,
    text,
    unknown_kinds,
    whole,
    with_plugins,
)
from draas.model import defaults, names
from draas.model.canonical import LISTS, Configuration, canonical
from draas.model.faults import ConfigurationError, Fault, Faults
from draas.model.json_value import join
from draas.model.references import reference
from draas.model.secrets import masked
from draas.model.snapshot import INTERNAL_PREFIX

LOG_LEVELS = ("trace", "debug", "info", "warn", "error")
"""What drasi-server accepts as logLevel, in any case."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ID_RULE = "use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"
_PART_NAME = {"sources": "source", "queries": "query", "reactions": "reaction"}

_SHOWN = 10
"""Ids that a fault names as being there."""


def validate(
    document: Mapping[str, Any], kinds: Kinds | None = None, *, to_run: bool = True
) -> tuple[Fault, ...]:
    """Every fault of the document, raw or canonical, in its order; empty when it can be run.

    Unknown keys are faults where drasi-server refuses them (root, queries, subscriptions); in
    sources and reactions they belong to the kind. With `kinds` any other kind is a fault as well.
    What is not `to_run` now may wait for a plugin of Drasi's, and for addresses of its own.
    Values are masked where they are secret.
    """
    faults, hints = Faults(), Hints()
    there = (kinds if to_run else with_plugins(kinds)) or {}
    try:
        config = canonical(document)
        for fault in _found(config, hints):
            faults.append(fault)
        for fault in unknown_kinds(config, there, hints):
            faults.append(fault)
        for fault in clashes(config) if to_run else ():
            faults.append(fault)
    except ConfigurationError as error:
        return error.faults
    return tuple(faults)


def _found(config: Configuration, hints: Hints) -> Iterable[Fault]:
    yield from _unknown(config, names.ROOT, "", hints)
    yield from _checked(config, _ROOT_RULES, "")
    known = {part: dict.fromkeys(_ids(config[part])) for part in LISTS}
    for part in LISTS:
        seen: set[Any] = set()
        for n, item in enumerate(config[part]):
            path = f"{part}[{item['id'] if isinstance(item.get('id'), str) else n}]"
            yield from _component(part, item, path, hints)
            if isinstance(item.get("id"), str):
                if item["id"] in seen:
                    yield Fault(f"{path}.id", item["id"], "this id is used twice: ids are unique")
                seen.add(item["id"])
            yield from _referring(part, item, path, known, hints)


def _component(part: str, item: Configuration, path: str, hints: Hints) -> Iterable[Fault]:
    required = ("id", "query") if part == "queries" else ("id", "kind")
    for name in required:
        if name not in item:
            yield Fault(f"{path}.{name}", None, f"a {_PART_NAME[part]} needs {name}")
    yield from _checked(item, {**_RULES[part], **rules_of(part, item)}, path)
    if part == "queries":
        yield from _unknown(item, names.QUERY, path, hints)


def _referring(
    part: str,
    item: Configuration,
    path: str,
    known: Mapping[str, Collection[str]],
    hints: Hints,
) -> Iterable[Fault]:
    """The references of queries to sources and of reactions to queries."""
    if part == "queries":
        for n, subscription in enumerate(item.get("sources", [])):
            at = f"{path}.sources[{n}]"
            yield from _unknown(subscription, names.SUBSCRIPTION, at, hints)
            yield from _checked(subscription, _SUBSCRIPTION_RULES, at)
            if "sourceId" not in subscription:
                yield Fault(f"{at}.sourceId", None, "a subscription needs sourceId")
            else:
                source, there = subscription["sourceId"], known["sources"]
                yield from _resolved(source, f"{at}.sourceId", "source", there, hints)
    elif part == "reactions" and isinstance(item.get("queries", []), list):
        for n, query in enumerate(item.get("queries", [])):
            at = f"{path}.queries[{n}]"
            if isinstance(query, str):
                yield from _resolved(query, at, "query", known["queries"], hints)
            else:
                yield Fault(at, query, "must be the id of a query, as text")


def _resolved(
    value: Any, path: str, what: str, ids: Collection[str], hints: Hints
) -> Iterable[Fault]:
    if isinstance(value, str) and value not in ids and reference(value) is None:
        plural = "queries" if what == "query" else f"{what}s"
        there = f"; there are {_some(ids)}" if ids else f"; there are no {plural}"
        near = hints.nearest(value, ids)
        yield Fault(path, value, f"no {what} has the id {value!r}{there}{near}")


def _some(ids: Collection[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(islice(ids, _SHOWN)) + more


def _ids(items: list[Configuration]) -> list[str]:
    return [item["id"] for item in items if isinstance(item.get("id"), str)]


def _unknown(item: Configuration, table: names.Names, path: str, hints: Hints) -> Iterable[Fault]:
    known = sorted(set(table.values()))
    for key, value in item.items():
        if key not in known:
            near = hints.nearest(key, known) or f"; known are {', '.join(known)}"
            message = f"drasi-server knows no property {key!r} here{near}"
            yield Fault(join(path, key), masked(value, [key]), message)


def _checked(item: Configuration, rules: Mapping[str, Rule], path: str) -> Iterable[Fault]:
    for name, rule in rules.items():
        if name in item:
            message = rule(item[name])
            if message is not None:
                shown = masked(item[name], [name])
                yield Fault(join(path, name), shown, f"{shown!r} {message}")


def _identity(value: Any) -> str | None:
    if not isinstance(value, str):
        return "is not text: put it in quotes"
    if value.startswith(INTERNAL_PREFIX):
        return "begins with '__', which the server keeps for itself: rename it"
    return None if _ID.fullmatch(value) else f"is no usable id: {_ID_RULE}"


def _host(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            ipaddress.ip_address(value)
        except ValueError:
            labels = value.split(".")
            # A name whose last label is a number is a mistyped address, as in 256.0.0.1.
            named = len(value) <= 253 and all(map(_HOST_LABEL.fullmatch, labels))
            if named and not labels[-1].isdigit():
                return None
        else:
            return None
    return "is no host: use an IP address or a host name such as 0.0.0.0"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _log_level(value: Any) -> str | None:
    if isinstance(value, str) and value.lower() in LOG_LEVELS:
        return None
    return f"is no log level: use one of {', '.join(LOG_LEVELS)}"


def _one_of(*allowed: str) -> Rule:
    return lambda value: (
        None if value in allowed else f"is unknown: use one of {', '.join(allowed)}"
    )


def _list(value: Any) -> str | None:
    return None if isinstance(value, list) else "must be a list"


def _single(value: Any) -> str | None:
    if value == []:
        return None
    return "cannot be run: a server here has one instance, so create one for each of them"


_COUNT = or_reference(whole(1, 2**31 - 1))
_CAPACITY = or_reference(whole(1, defaults.CAPACITY_LIMIT))
_FLAG = or_reference(_boolean)
_ROOT_RULES: Mapping[str, Rule] = {
    "id": or_reference(_identity),
    "host": or_reference(_host),
    "port": or_reference(whole(1, 65535)),
    "logLevel": or_reference(_log_level),
    **{name: _FLAG for name, value in defaults.ROOT.items() if isinstance(value, bool)},
    "hotReloadDebounceMs": _COUNT,
    "defaultPriorityQueueCapacity": _CAPACITY,
    "defaultDispatchBufferCapacity": _CAPACITY,
    "identityProviders": _list,
    "instances": _single,
}
_SOURCE_RULES: Mapping[str, Rule] = {"id": _identity, "kind": text, "autoStart": _FLAG}
_QUERY_RULES: Mapping[str, Rule] = {
    "id": _identity,
    "query": or_reference(text),
    "queryLanguage": or_reference(_one_of(*defaults.EXACT_SPELLINGS["queryLanguage"])),
    "dispatchMode": _one_of(*defaults.EXACT_SPELLINGS["dispatchMode"]),
    "autoStart": _FLAG,
    "enableBootstrap": _FLAG,
    "middleware": objects,
    "joins": objects,
    "bootstrapBufferSize": _CAPACITY,
    "bootstrapTimeoutSecs": _COUNT,
    "priorityQueueCapacity": _CAPACITY,
    "dispatchBufferCapacity": _CAPACITY,
    "outboxCapacity": _CAPACITY,
}
_SUBSCRIPTION_RULES: Mapping[str, Rule] = {
    "sourceId": or_reference(_identity),
    "nodes": _list,
    "relations": _list,
    "pipeline": _list,
}
_RULES = {
    "sources": _SOURCE_RULES,
    "queries": _QUERY_RULES,
    "reactions": {**_SOURCE_RULES, "queries": _list},
}
