"""Templates of reactions: the part of Handlebars that results need.

`{{path.to.value}}`, `{{{path}}}` and `{{json path}}`. Blocks and other helpers are refused when
the reaction is made, because silently wrong output is worse than none.
"""

from __future__ import annotations

import json
import re
from typing import Any

from draas.instance_host.errors import invalid

_INNER = r"\s*(?:(json)\s+)?([A-Za-z0-9_.\-@\[\]]+)\s*"
_TAG = re.compile(rf"\{{\{{\{{{_INNER}\}}\}}\}}|\{{\{{{_INNER}\}}\}}")

OPERATIONS = {
    "ADD": ("added", "add"),
    "UPDATE": ("updated", "update"),
    "aggregation": ("updated", "update"),
    "DELETE": ("deleted", "delete"),
}
"""The engine's result type → the names of its template in routes (1.x) and outputTemplates (2.x).
"""


def check_template(template: Any, path: str) -> str:
    """`template` if every tag in it is understood, else `ApiError` (400)."""
    if not isinstance(template, str):
        raise invalid(f"{path}: must be a string")
    if "{{" in _TAG.sub("", template):
        raise invalid(f"{path}: only {{{{path}}}} and {{{{json path}}}} are understood here")
    return template


def render(template: str, context: dict[str, Any]) -> str:
    """The template's text; a path that leads nowhere is empty, under `json` null."""

    def fill(match: re.Match[str]) -> str:
        helper, path = match[1] or match[3], match[2] or match[4]
        value = _at(context, path)
        if helper or isinstance(value, (dict, list, bool)):
            return json.dumps(value, ensure_ascii=False)
        return "" if value is None else str(value)

    return _TAG.sub(fill, template)


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


def _at(context: dict[str, Any], path: str) -> Any:
    value: Any = context
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
