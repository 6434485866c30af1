"""The HTTP source's change format."""

from __future__ import annotations

from typing import Any

import pytest

from draas.instance_host.errors import ApiError
from draas.instance_host.sources.changes import change_of, changes_of

NODE = {"type": "node", "id": "a", "labels": ["L"], "properties": {"x": 1}}
RELATION = {"type": "relation", "id": "r", "labels": ["R"], "from": "a", "to": "b"}

TAKEN = [
    pytest.param(
        {"operation": "insert", "element": NODE, "timestamp": 1_700_000_000_123_456_789},
        {
            "op": "insert",
            "id": "a",
            "labels": ["L"],
            "properties": {"x": 1},
            "effective_from": 1_700_000_000_123,
        },
        id="node",
    ),
    pytest.param(
        {"operation": "update", "element": RELATION},
        {
            "op": "update",
            "id": "r",
            "labels": ["R"],
            "properties": {},
            "start_id": "a",
            "end_id": "b",
        },
        id="relation",
    ),
    pytest.param({"operation": "delete", "id": "a"}, {"op": "delete", "id": "a"}, id="delete"),
    pytest.param(
        {"operation": "delete", "id": "a", "labels": ["L"]},
        {"op": "delete", "id": "a", "labels": ["L"]},
        id="delete with labels",
    ),
]


@pytest.mark.parametrize(("document", "expected"), TAKEN)
def test_changes_are_converted(document: Any, expected: Any) -> None:
    assert change_of(document) == expected


REFUSED = [
    pytest.param([], "`operation`", id="a list"),
    pytest.param({"operation": "upsert"}, "operation", id="operation"),
    pytest.param({"operation": "insert"}, "element", id="no element"),
    pytest.param({"operation": "insert", "element": {"type": "edge"}}, "element.type", id="type"),
    pytest.param(
        {"operation": "insert", "element": {**NODE, "id": 5}}, "element.id", id="id is a number"
    ),
    pytest.param(
        {"operation": "insert", "element": {**NODE, "labels": "L"}}, "element.labels", id="labels"
    ),
    pytest.param(
        {"operation": "insert", "element": {**NODE, "properties": []}},
        "element.properties",
        id="properties",
    ),
    pytest.param(
        {"operation": "insert", "element": {**RELATION, "to": ""}}, "element.to", id="no end"
    ),
    pytest.param({"operation": "delete"}, "id", id="delete nothing"),
    pytest.param(
        {"operation": "insert", "element": NODE, "timestamp": "now"}, "timestamp", id="timestamp"
    ),
]


@pytest.mark.parametrize(("document", "named"), REFUSED)
def test_bad_changes_name_their_fault(document: Any, named: str) -> None:
    with pytest.raises(ApiError) as caught:
        change_of(document)
    assert named in caught.value.message


def test_a_document_is_one_change_or_a_batch() -> None:
    deletion = {"operation": "delete", "id": "a"}
    change = {"op": "delete", "id": "a"}
    assert changes_of(deletion) == [change]
    assert changes_of({"events": [deletion, deletion]}) == [change, change]


@pytest.mark.parametrize("events", [5, None, {"operation": "delete", "id": "a"}])
def test_a_batch_must_be_a_list(events: Any) -> None:
    with pytest.raises(ApiError, match="events: must be a list of changes"):
        changes_of({"events": events})
