"""What the engine has been told of one source: the guard against two of its hazards.

Inserting an element that the engine knows doubles aggregates, and a new query gets no existing
data. So a known element always goes out as an update, and the whole cache can be replayed to who
knows none of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Change = dict[str, Any]
"""A change as the engine takes it: op, id, labels, properties, start_id and end_id of relations,
and effective_from, the time from which it holds, in milliseconds since the epoch."""


class Elements:
    """The elements of one source by id, as the engine knows them."""

    def __init__(self) -> None:
        self._known: dict[str, Change] = {}

    def __len__(self) -> int:
        return len(self._known)

    def ids(self) -> Iterator[str]:
        """The ids of everything known."""
        return iter(list(self._known))

    def safe(self, change: Change) -> Change:
        """`change` as it may be pushed; nothing is noted yet.

        An insert of a known element becomes an update that blanks the properties it lacks.
        """
        known = self._known.get(change["id"])
        if known is None:
            return change
        if change["op"] == "delete":
            return {**change, "labels": change.get("labels") or known["labels"]}
        properties = change.get("properties", {})
        if change["op"] == "insert":
            properties = {**dict.fromkeys(known["properties"]), **properties}
        return {**change, "op": "update", "properties": properties}

    def note(self, change: Change) -> None:
        """Remember a change that was pushed; an update merges, as it does in the engine."""
        if change["op"] == "delete":
            self._known.pop(change["id"], None)
            return
        known = self._known.get(change["id"], {})
        properties = {**known.get("properties", {}), **change.get("properties", {})}
        self._known[change["id"]] = {**known, **change, "op": "insert", "properties": properties}

    def replay(self) -> Iterator[Change]:
        """Everything known, as inserts, nodes before the relations that need them.

        Middleware tells an insert from an update: one that only maps inserts drops the other.
        """
        elements = list(self._known.values())
        yield from (element for element in elements if "start_id" not in element)
        yield from (element for element in elements if "start_id" in element)
