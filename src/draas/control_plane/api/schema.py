"""The OpenAPI document: what each route takes and answers, by the wire's own types."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from draas.contract.feed import Changes, InstanceStates
from draas.contract.problems import PREFIX, STATUS
from draas.control_plane.outcome import Outcome
from draas.model.instance import Instance

_TYPES = (Instance, InstanceStates, Changes, Outcome)
_OBJECT = {"type": "object", "additionalProperties": True}
_PATCH = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}
_CREATE = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "description": {"type": "string"},
        "platformType": {"type": "string", "default": "Process"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "configuration": _OBJECT,
        "serverConfiguration": _OBJECT,
        "desiredRunState": {"enum": ["Running", "Stopped"], "default": "Stopped"},
    },
}
_UPDATE = {
    "type": "object",
    "required": ["instanceId", "status", "source"],
    "properties": {
        "instanceId": {"type": "string"},
        "status": {"type": "string"},
        "source": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"enum": [PREFIX + kind for kind in STATUS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
    "additionalProperties": True,
}
_TAKES: dict[str, dict[str, Any]] = {
    "create": _CREATE,
    "put_status": {"type": ["string", "integer"]},
    "start": _OBJECT,
    "patch": _PATCH,
    "patch_server": _PATCH,
    "put": _OBJECT,
    "put_field": {"type": ["string", "integer"]},
    "updates": _UPDATE,
}
_ANSWERS: dict[str, Any] = {
    "create": Instance,
    "list_instances": {"type": "array", "items": {"$ref": "#/components/schemas/Instance"}},
    "get": Instance,
    "put_status": Instance,
    "start": Outcome,
    "stop": Outcome,
    "restart": Outcome,
    "changes": Changes,
}
_QUERY: dict[str, tuple[str, ...]] = {
    "list_instances": ("view", "label", "enumFormat"),
    "start": ("keepDesiredRunState",),
    "stop": ("keepDesiredRunState",),
    "changes": ("after", "wait", "limit"),
    "recent_changes": ("since", "statusFilter"),
}
_OPTIONAL = ("start",)
_CONDITIONAL = ("patch", "put")
_EMPTY = ("/api/status/updates",)
_MEDIA_TYPES = {"/api/configurations": "application/x-ndjson", "/metrics": "text/plain"}


def describe(app: FastAPI) -> None:
    """Let the application answer `/openapi/v1.json` with the whole contract."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version="1", routes=app.routes)
    _, components = msgspec.json.schema_components(
        _TYPES, ref_template="#/components/schemas/{name}"
    )
    found["components"] = {"schemas": {**components, "Problem": _PROBLEM}}
    for path, methods in found["paths"].items():
        for operation in methods.values():
            _complete(path, operation)
    return found


def _complete(path: str, operation: dict[str, Any]) -> None:
    name = operation["operationId"].split("_api_")[0]
    name = name if path.startswith("/api/servers") or name != "get" else "get_configuration"
    operation["parameters"] = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string"}}
        for each in re.findall(r"{(\w+)}", path)
    ] + [
        {"name": each, "in": "query", "schema": {"type": "string"}} for each in _QUERY.get(name, ())
    ]
    if name in _CONDITIONAL:
        tag = {"name": "If-Match", "in": "header", "schema": {"type": "string"}}
        operation["parameters"].append(tag)
    if name in _TAKES:
        types = ["application/json"]
        if _TAKES[name] is _PATCH:
            types = ["application/json-patch+json", *types]
        operation["requestBody"] = {
            "required": name not in _OPTIONAL,
            "content": {each: {"schema": _TAKES[name]} for each in types},
        }
    answers = _ANSWERS.get(name, {})
    if not isinstance(answers, dict):
        answers = {"$ref": f"#/components/schemas/{answers.__name__}"}
    for status, response in operation["responses"].items():
        if status != "204" and path not in _EMPTY:
            media_type = _MEDIA_TYPES.get(path, "application/json")
            response["content"] = {media_type: {"schema": answers}}
        else:
            response.pop("content", None)
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    operation["responses"]["default"] = {
        "description": "A problem (RFC 9457)",
        "content": {"application/problem+json": problem},
    }
