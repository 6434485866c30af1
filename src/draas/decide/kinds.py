"""What the kinds of sources and reactions ask of their own keys, and where they may listen."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from draas.decide.hints import Hints
from draas.model.canonical import Configuration
from draas.model.faults import Fault
from draas.model.json_value import join
from draas.model.own import LISTENING
from draas.model.references import reference

Rule = Callable[[Any], str | None]
"""What is wrong with a value and the way out, to be read after the value; or None."""
Kinds = Mapping[str, Collection[str]]
"""The kinds that there are, of `sources` and of `reactions`."""

OF_PLUGINS: Kinds = {
    "sources": ("application", "grpc", "mssql", "platform", "postgres"),
    "reactions": ("application", "grpc", "grpc-adaptive", "http-adaptive", "platform", "profiler"),
}
"""Kinds that Drasi has and that a server may lack: it needs their plugins."""

_DIGITS = re.compile(r"[0-9]{1,19}")
_ANY_HOSTS = ("0.0.0.0", "::")
_LISTENS_AT = 8080
_MOCK_DATA = ("counter", "sensorReading", "generic")


def or_reference(rule: Rule) -> Rule:
    """The server resolves references itself, so any reference may stand for the value."""
    return lambda value: None if reference(value) is not None else rule(value)


def whole(low: int, high: int = 2**53) -> Rule:
    """A whole number from `low` to `high`."""

    def rule(value: Any) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"must be a whole number from {low} to {high}"
        if low <= value <= high:
            return None
        return f"is out of range: use a whole number from {low} to {high}"

    return rule


def _digits(rule: Rule) -> Rule:
    """The environment has only texts, so kinds take a number that is one."""

    def of(value: Any) -> str | None:
        is_number = isinstance(value, str) and _DIGITS.fullmatch(value)
        return rule(int(value) if is_number else value)

    return or_reference(of)


def text(value: Any) -> str | None:
    """A text that is not empty."""
    if isinstance(value, str) and value.strip():
        return None
    return "must be text that is not empty"


def objects(value: Any) -> str | None:
    """A list of objects."""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return None
    return "must be a list of objects"


def _mock_data(value: Any) -> str | None:
    kind = value.get("type", "generic") if isinstance(value, dict) else value
    if isinstance(kind, str) and (kind in _MOCK_DATA or reference(kind)):
        count = value.get("sensorCount", 1) if isinstance(value, dict) else 1
        wrong = _digits(whole(1))(count)
        return f"sensorCount {count!r} {wrong}" if wrong else None
    return f"has no type that mock knows: use one of {', '.join(_MOCK_DATA)}"


def _path(value: Any) -> str | None:
    if isinstance(value, str) and value.startswith("/") and not set(value) & set("?#%{} "):
        return None
    return "must be a path: begin it with /, and leave ?, #, %, braces and spaces out"


_PORT = _digits(whole(1, 65535))
_RULES: Mapping[str, Mapping[str, Mapping[str, Rule]]] = {
    "sources": {
        "mock": {"intervalMs": _digits(whole(1)), "dataType": or_reference(_mock_data)},
        "http": {"host": text, "port": _PORT, "timeoutMs": _digits(whole(1))},
    },
    "reactions": {
        "http": {"baseUrl": text, "timeoutMs": _digits(whole(1))},
        "sse": {
            "host": text,
            "port": _PORT,
            "ssePath": or_reference(_path),
            "heartbeatIntervalMs": _digits(whole(1)),
        },
    },
}


def rules_of(part: str, component: Configuration) -> Mapping[str, Rule]:
    """The rules of the keys that belong to the component's kind; none of a kind that has none."""
    kind = component.get("kind")
    return _RULES.get(part, {}).get(kind, {}) if isinstance(kind, str) else {}


def with_plugins(kinds: Kinds | None) -> Kinds | None:
    """The kinds, and those that plugins could bring."""
    if kinds is None:
        return None
    return {part: (*known, *OF_PLUGINS.get(part, ())) for part, known in kinds.items()}


def unknown_kinds(config: Configuration, kinds: Kinds, hints: Hints) -> Iterable[Fault]:
    """Components of a kind that none of `kinds` is: its server would not start."""
    for part, known in kinds.items():
        for component in config[part]:
            kind = component.get("kind")
            if not isinstance(kind, str) or kind in known or reference(kind) is not None:
                continue
            meant = hints.nearest(kind, known, 0.5) or f", only {', '.join(known)}."
            yield Fault(
                f"{part}[{component.get('id')}].kind",
                kind,
                f"no server here has the kind {kind!r}{meant} For others name the folder of their "
                "plugins in Process:PluginsDirectory, or a drasi-server in Process:ExecutablePath",
            )


def clashes(config: Configuration) -> Iterable[Fault]:
    """Listeners of one server at one address: only one of them could be opened."""
    taken: dict[int, list[tuple[str, str]]] = {}
    for path, holder, host, given in _listeners(config):
        is_number = isinstance(given, str) and _DIGITS.fullmatch(given)
        port = int(given) if is_number else given
        if not isinstance(port, int) or reference(host) is not None:
            continue
        others = taken.setdefault(port, [])
        for other_host, other in others:
            if host == other_host or {host, other_host} & {*_ANY_HOSTS}:
                yield Fault(
                    path, given, f"port {port} is that of {other} already: give {holder} its own"
                )
                break
        others.append((str(host), holder))


def _listeners(config: Configuration) -> Iterable[tuple[str, str, Any, Any]]:
    """Path of the port, name, host and port of all that listens, the server itself first."""
    if "port" in config:
        yield "port", "the server itself", config.get("host", _ANY_HOSTS[0]), config["port"]
    for part, kinds in LISTENING.items():
        for component in config[part]:
            if component.get("kind") in kinds:
                name = f"{part[:-1]} {component.get('id')!r}"
                path = join(f"{part}[{component.get('id')}]", "port")
                host = component.get("host", _ANY_HOSTS[0])
                yield path, name, host, component.get("port", _LISTENS_AT)
