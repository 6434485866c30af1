"""The reaction kind `log`: one line on stdout for each changed row."""

from __future__ import annotations

import json
import sys
from typing import Any

from draas.instance_host.reactions import Result
from draas.instance_host.reactions.templates import (
    OPERATIONS,
    by_operation,
    by_query,
    check_template,
    context_of,
    operation,
    render,
    sides,
)


class LogSink:
    """Prints rows, by the templates of `routes` or `defaultTemplate` where there are any."""

    own_clients = False

    def __init__(self, reaction_id: str, properties: dict[str, Any]) -> None:
        self._id = reaction_id
        default = properties.get("defaultTemplate")
        self._default = by_operation(default, "defaultTemplate", _template)
        self._routes = by_query(properties.get("routes"), "routes", _template)

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    def unsent(self) -> list[Result]:
        """Nothing: a line is printed when it is delivered."""
        return []

    async def settle(self) -> None:
        """A line is printed when it is delivered."""

    def deliver(self, result: Result) -> None:
        """Print the result's rows at once."""
        query_id = result["query_id"]
        templates = self._routes.get(query_id, self._default)
        lines = []
        for row in result["results"]:
            if row["type"] not in OPERATIONS:
                continue
            template = templates.get(OPERATIONS[row["type"]])
            context = context_of(query_id, row, result)
            text = render(template, context) if template else _plain(row)
            lines.append(f"[{self._id}] [{query_id}] {operation(row)} {text}\n")
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def _plain(row: dict[str, Any]) -> str:
    before, after = sides(row)
    both = {"before": before, "after": after} if before and after else after or before
    return json.dumps(both, ensure_ascii=False)


def _template(spec: Any, path: str) -> str:
    template = spec.get("template") if isinstance(spec, dict) else spec
    return check_template(template, f"{path}.template") if template else ""
