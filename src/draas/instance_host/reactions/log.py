"""The reaction kind `log`: one line on stdout for each changed row."""

from __future__ import annotations

import json
import sys
from typing import Any

from draas.instance_host.errors import invalid
from draas.instance_host.reactions import Result
from draas.instance_host.reactions.templates import (
    OPERATIONS,
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
        self._default = _templates(properties.get("defaultTemplate"), "defaultTemplate")
        routes = properties.get("routes") or {}
        if not isinstance(routes, dict):
            raise invalid("routes: must be an object of query ids")
        self._routes = {
            query_id: _templates(route, f"routes.{query_id}") for query_id, route in routes.items()
        }

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

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
            template = templates.get(OPERATIONS[row["type"]][0])
            if template is None:
                text = _plain(row)
            else:
                text = render(template, context_of(query_id, row, result))
            lines.append(f"[{self._id}] [{query_id}] {operation(row)} {text}\n")
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def _plain(row: dict[str, Any]) -> str:
    before, after = sides(row)
    both = {"before": before, "after": after} if before and after else after or before
    return json.dumps(both, ensure_ascii=False)


def _templates(route: Any, path: str) -> dict[str, str]:
    if route is None:
        return {}
    if not isinstance(route, dict):
        raise invalid(f"{path}: must be an object of added, updated, deleted")
    templates = {}
    for name, spec in route.items():
        template = spec.get("template") if isinstance(spec, dict) else spec
        if template:
            templates[name] = check_template(template, f"{path}.{name}.template")
    return templates
