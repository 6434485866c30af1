"""Plain JSON values: checked copies and one text for equal values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from draas.model.faults import Fault

MAX_DEPTH = 64
"""Levels of nesting a document may have; deeper ones are a fault, not a stack overflow."""

EXACT_INTEGERS = 2.0**53
"""Up to here a float that is whole is the same number as the integer."""

_ATOMS = frozenset({str, int, bool, type(None)})
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def copied(value: Any, path: str, faults: list[Fault], depth: int = 0) -> Any:
    """A deep copy that shares nothing with `value`; what is no JSON is appended to `faults`.

    A float that is a whole number becomes an integer (8081.0 is the port 8081).
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if depth > MAX_DEPTH:
        faults.append(Fault(path, "…", f"nested deeper than {MAX_DEPTH} levels: flatten it"))
        return None
    if isinstance(value, Mapping):
        copy = {}
        for key, member in value.items():
            if not isinstance(key, str):
                faults.append(Fault(path, repr(key), f"the key {key!r} is not text: quote it"))
            elif type(member) in _ATOMS:
                copy[key] = member
            else:
                copy[key] = copied(member, join(path, key), faults, depth + 1)
        return copy
    if isinstance(value, list | tuple):
        return [copied(item, f"{path}[{n}]", faults, depth + 1) for n, item in enumerate(value)]
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < EXACT_INTEGERS else value
    faults.append(
        Fault(path, kind.__name__, f"a {kind.__name__} is not JSON: use text, number, list, object")
    )
    return None


def encoded(value: Any) -> str:
    """The one compact text of a JSON value: equal values, and only they, have equal texts."""
    return _ENCODER.encode(value)


def join(path: str, key: str) -> str:
    """The path of member `key`: `queries[q].query`, with odd names quoted."""
    if not key.replace("-", "_").isidentifier():
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key
