"""Templates of reactions: the part of Handlebars that results need.

`{{path.to.value}}`, `{{{path}}}` and `{{json path}}`. Blocks and other helpers are refused when
the reaction is made, because silently wrong output is worse than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from draas.instance_host.errors import invalid

_INNER = r"\s*(?:(json)\s+)?([A-Za-z0-9_.\-@\[\]]+)\s*"
_TAG = re.compile(rf"\{{\{{\{{{_INNER}\}}\}}\}}|\{{\{{{_INNER}\}}\}}")

T = TypeVar("T")

OPERATIONS = {"ADD": "added", "UPDATE": "updated", "aggregation": "updated", "DELETE": "deleted"}
"""The engine's result type → the name of its template."""

_SPELLINGS = {"add": "added", "update": "updated", "delete": "deleted"}
_IN_URLS = "!#$%&'()*+,/:;=?@[]~"
"""What a URL may have besides letters and digits, and has a meaning in it."""


def by_query(routes: Any, path: str, read: Callable[[Any, str], T]) -> dict[str, dict[str, T]]:
    """`by_operation` for each query of `routes`; `ApiError` (400) names what is wrong."""
    if routes is None:
        return {}
    if not isinstance(routes, dict):
        raise invalid(f"{path}: must be an object of query ids")
    return {query: by_operation(each, f"{path}.{query}", read) for query, each in routes.items()}


def by_operation(specs: Any, path: str, read: Callable[[Any, str], T]) -> dict[str, T]:
    """What `read` makes of the entries of added, updated and deleted, or add, update and delete.

    `ApiError` (400) for any other: it would have no effect.
    """
    if specs is None:
        return {}
    if not isinstance(specs, dict):
        raise invalid(f"{path}: must be an object of added, updated, deleted")
    found: dict[str, T] = {}
    for name, spec in specs.items():
        operation = str(_SPELLINGS.get(name, name))
        if operation not in OPERATIONS.values():
            raise invalid(f"{path}.{name}: is none of added, updated, deleted")
        if spec is not None:
            found[operation] = read(spec, f"{path}.{name}")
    return found


def only(spec: Any, path: str, *keys: str) -> dict[str, Any]:
    """`spec` if it is an object of no other keys, else `ApiError` (400)."""
    if not isinstance(spec, dict):
        raise invalid(f"{path}: must be an object of {', '.join(keys)}")
    for key in spec:
        if key not in keys:
            raise invalid(f"{path}.{key}: is none of {', '.join(keys)}")
    return spec


def check_template(template: Any, path: str) -> str:
    """`template` if every tag in it is understood, else `ApiError` (400)."""
    if not isinstance(template, str):
        raise invalid(f"{path}: must be a string")
    if "{{" in _TAG.sub("", template):
        raise invalid(f"{path}: only {{{{path}}}} and {{{{json path}}}} are understood here")
    return template


def render(template: str, context: dict[str, Any]) -> str:
    """The template's text; a path that leads nowhere is empty, under `json` null."""
    return _TAG.sub(lambda match: _text(match, context), template)


def render_url(template: str, context: dict[str, Any]) -> str:
    """The template's text as (part of) a URL; `ValueError` for half of a character.

    Values are percent-encoded, but for one in three braces and one that the template begins with:
    an address of its own.
    """

    def fill(match: re.Match[str]) -> str:
        text = _text(match, context)
        as_it_is = match.start() == 0 or match[0].startswith("{{{")
        return text if as_it_is else quote(text, safe="")

    return quote(_TAG.sub(fill, template), safe=_IN_URLS)


def context_of(query_id: str, row: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """What templates may name: before, after, data, query and operation, sequence, timestamp."""
    before, after = sides(row)
    return {
        "before": before,
        "after": after,
        "data": after if after is not None else before,
        "query_name": query_id,
        "queryId": query_id,
        "operation": operation(row),
        "sequence": result.get("sequence"),
        "timestamp": result.get("timestamp"),
    }


def operation(row: dict[str, Any]) -> str:
    """ADD, UPDATE or DELETE; a changed aggregate is an UPDATE."""
    return "UPDATE" if row["type"] == "aggregation" else str(row["type"])


def sides(row: dict[str, Any]) -> tuple[Any, Any]:
    """The row before and after the change, None where there is none."""
    if row["type"] == "ADD":
        return None, row.get("data")
    if row["type"] == "DELETE":
        return row.get("data", row.get("before")), None
    return row.get("before"), row.get("after", row.get("data"))


def _text(match: re.Match[str], context: dict[str, Any]) -> str:
    helper, path = match[1] or match[3], match[2] or match[4]
    value = _at(context, path)
    if helper or isinstance(value, (dict, list, bool)):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _at(context: dict[str, Any], path: str) -> Any:
    value: Any = context
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
