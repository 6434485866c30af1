"""What differs between two configurations, field by field and in the source document's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from draas.model.canonical import LISTS
from draas.model.configuration import normal_form, observable
from draas.model.json_value import encoded, join
from draas.model.references import reference, shown
from draas.model.secrets import mask

Kind = Literal["added", "removed", "changed"]
Shown = tuple[Any, Any]
"""A value and the same value with its secrets masked; `_NOTHING` where there is none."""

NO_ACTUAL_STATE = "Initial configuration - no actual state exists"
"""The one line of a comparison with nothing (R-037)."""

_NOTHING: Shown = (None, None)
_LINES = {"host": "Host", "port": "Port", "logLevel": "LogLevel"}
_COUNTS = {"sources": "Sources", "queries": "Queries", "reactions": "Reactions"}
_ONE = {"sources": "Source", "queries": "Query", "reactions": "Reaction"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs: where, both values with secrets masked, and how.

    `added` is in the desired configuration only, `removed` in the actual one only.
    """

    path: str
    actual: Any
    desired: Any
    kind: Kind


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences between an actual and a desired configuration, and their summary (R-033)."""

    differences: tuple[Difference, ...]
    summary: tuple[str, ...]

    @property
    def has_drift(self) -> bool:
        """Whether anything differs; having no actual state at all does."""
        return bool(self.summary)


def compare(actual: Mapping[str, Any] | None, desired: Mapping[str, Any]) -> Comparison:
    """What must change for `actual` to become `desired`; empty exactly when the digests agree.

    Both are documents in any form; None is an actual state that does not exist (R-037). Lists of
    components are compared by id, in any order (B-10, B-11). Raises `ConfigurationError`.
    """
    if actual is None:
        return Comparison((), (NO_ACTUAL_STATE,))
    return _compared(normal_form(actual), normal_form(desired))


def compare_observed(observed: Mapping[str, Any], desired: Mapping[str, Any]) -> Comparison:
    """As `compare`, limited to what a running server reports (see `observable`)."""
    return _compared(observable(observed), observable(desired))


def _compared(actual: dict[str, Any], desired: dict[str, Any]) -> Comparison:
    if encoded(actual) == encoded(desired):
        return Comparison((), ())
    masks = mask(actual), mask(desired)
    differences: list[Difference] = []
    first: list[str] = []
    last: list[str] = []
    for name in _root_names(actual, desired):
        pair = _member((actual, masks[0]), name), _member((desired, masks[1]), name)
        found = list(_walk(name, *pair))
        if found:
            differences += found
            (first if name in _LINES else last).append(_line(name, *pair))
    for part in LISTS:
        if len(actual[part]) != len(desired[part]):
            first.append(f"{_COUNTS[part]} count: {len(actual[part])} → {len(desired[part])}")
        old, new = _by_id(actual[part], masks[0][part]), _by_id(desired[part], masks[1][part])
        one_way = old.keys() <= new.keys() or new.keys() <= old.keys()
        for key in sorted(old.keys() | new.keys()):
            before, after = old.get(key, _NOTHING), new.get(key, _NOTHING)
            label = key[0] if key[1] == 0 else f"{key[0]}#{key[1]}"
            found = list(_walk(f"{part}[{label}]", before, after))
            differences += found
            if found and found[0].path == f"{part}[{label}]":
                # The count says it, unless components were exchanged.
                last += [] if one_way else [f"{_ONE[part]} {label}: {found[0].kind}"]
            elif found:
                last.append(f"{_ONE[part]} {label}: {_fields(before[0], after[0])} changed")
    return Comparison(tuple(differences), (*first, *last))


def _root_names(actual: dict[str, Any], desired: dict[str, Any]) -> list[str]:
    others = sorted((actual.keys() | desired.keys()) - _LINES.keys() - set(LISTS))
    return [name for name in _LINES if name in actual or name in desired] + others


def _by_id(items: list[Any], masks: list[Any]) -> dict[tuple[str, int], Shown]:
    """Components by id and, where an id is there twice, their place among those that share it."""
    seen: Counter[str] = Counter()
    keyed: dict[tuple[str, int], Shown] = {}
    for item, shown_item in zip(items, masks, strict=True):
        identity = item.get("id", "?")
        label = identity if isinstance(identity, str) else encoded(identity)
        keyed[label, seen[label]] = (item, shown_item)
        seen[label] += 1
    return keyed


def _member(pair: Shown, name: str) -> Shown:
    return (pair[0][name], pair[1][name]) if name in pair[0] else _NOTHING


def _walk(path: str, actual: Shown, desired: Shown) -> Iterator[Difference]:
    """The differences at and below `path`. References are values, never looked into."""
    if actual is _NOTHING or desired is _NOTHING:
        yield Difference(path, actual[1], desired[1], "added" if actual is _NOTHING else "removed")
        return
    one, two = actual[0], desired[0]
    if isinstance(one, dict) and isinstance(two, dict) and not (reference(one) or reference(two)):
        for name in sorted(one.keys() | two.keys()):
            yield from _walk(join(path, name), _member(actual, name), _member(desired, name))
    elif isinstance(one, list) and isinstance(two, list):
        for n in range(max(len(one), len(two))):
            yield from _walk(f"{path}[{n}]", _item(actual, n), _item(desired, n))
    elif encoded(one) != encoded(two):
        yield Difference(path, actual[1], desired[1], "changed")


def _item(pair: Shown, n: int) -> Shown:
    return (pair[0][n], pair[1][n]) if n < len(pair[0]) else _NOTHING


def _line(name: str, actual: Shown, desired: Shown) -> str:
    before, after = _text(actual), _text(desired)
    hidden = " (changed)" if before == after else ""
    return f"{_LINES.get(name, name)}: {before} → {after}{hidden}"


def _text(pair: Shown) -> str:
    if pair is _NOTHING:
        return "absent"
    form = reference(pair[1])
    if form is not None:
        return shown(form)
    return pair[1] if isinstance(pair[1], str) else encoded(pair[1])


def _fields(actual: dict[str, Any], desired: dict[str, Any]) -> str:
    names = sorted(actual.keys() | desired.keys())
    return ", ".join(
        name for name in names if encoded(actual.get(name)) != encoded(desired.get(name))
    )
