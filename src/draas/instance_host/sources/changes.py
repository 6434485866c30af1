"""The change format of Drasi's HTTP source, turned into what the engine takes."""

from __future__ import annotations

from typing import Any

from draas.instance_host.elements import Change
from draas.instance_host.errors import invalid
from draas.instance_host.values import text_of, whole_of

NANOSECONDS_A_MILLISECOND = 1_000_000


def changes_of(document: Any) -> list[Change]:
    """One change, or those of a batch `{"events": […]}`; `ApiError` (400) as in `change_of`."""
    if not isinstance(document, dict) or "events" not in document:
        return [change_of(document)]
    if not isinstance(document["events"], list):
        raise invalid("events: must be a list of changes")
    return [change_of(item) for item in document["events"]]


def change_of(document: Any) -> Change:
    """The engine's change for `{"operation", "element" | "id", "timestamp"?}`.

    `timestamp` counts nanoseconds since the epoch; without one the change holds from when it is
    applied. `ApiError` (400) names the first fault.
    """
    if not isinstance(document, dict):
        raise invalid("a change must be an object with `operation`")
    operation = document.get("operation")
    if operation == "delete":
        change: Change = {"op": "delete", "id": text_of(document.get("id"), "id")}
        if document.get("labels") is not None:
            change["labels"] = _labels(document["labels"], "labels")
    elif operation in ("insert", "update"):
        change = {"op": operation, **_element(document.get("element"))}
    else:
        raise invalid("operation: must be insert, update or delete")
    if document.get("timestamp") is not None:
        nanoseconds = whole_of(document["timestamp"], "timestamp", most=2**63)
        change["effective_from"] = nanoseconds // NANOSECONDS_A_MILLISECOND
    return change


def _element(element: Any) -> Change:
    if not isinstance(element, dict):
        raise invalid("element: must be an object")
    if element.get("type") not in ("node", "relation"):
        raise invalid("element.type: must be node or relation")
    properties = element.get("properties", {})
    if not isinstance(properties, dict):
        raise invalid("element.properties: must be an object")
    change: Change = {
        "id": text_of(element.get("id"), "element.id"),
        "labels": _labels(element.get("labels"), "element.labels"),
        "properties": properties,
    }
    if element["type"] == "relation":
        change["start_id"] = text_of(element.get("from"), "element.from")
        change["end_id"] = text_of(element.get("to"), "element.to")
    return change


def _labels(labels: Any, path: str) -> list[str]:
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise invalid(f"{path}: must be a list of strings")
    return labels
