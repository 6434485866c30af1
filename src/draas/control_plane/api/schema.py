"""The OpenAPI document: what each route takes and answers, by the wire's own types."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route

from draas.contract.feed import Changes, InstanceStates
from draas.contract.slots import Parity, Slot, SlotPlan, Slots, Traffic, Weights
from draas.control_plane.api.operations import (
    EVERY_CALL,
    EVERY_ORDER,
    HEADERS,
    IF_NONE_MATCH,
    OPERATIONS,
    QUERY,
    Operation,
)
from draas.control_plane.api.shapes import PROBLEM, TEXT, Shape
from draas.control_plane.outcome import Outcome
from draas.model.instance import Instance

_TYPES = (
    *(Instance, InstanceStates, Changes, Outcome),
    *(Parity, Slot, SlotPlan, Slots, Traffic, Weights),
)


def describe(app: FastAPI, routes: Sequence[Route]) -> None:
    """Let the application answer `/openapi/v1.json` with the whole contract of its routes."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, routes)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI, routes: Sequence[Route]) -> dict[str, Any]:
    found = get_openapi(title=app.title, version="1", routes=app.routes)
    _, types = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    found["components"] = {
        "schemas": {**types, "Problem": PROBLEM},
        "parameters": {
            **{name: _parameter("query", name, shape) for name, shape in QUERY.items()},
            **{name: _parameter("header", name, shape) for name, shape in HEADERS.items()},
        },
    }
    for route in routes:
        if route.include_in_schema:
            module = route.endpoint.__module__.rpartition(".")[2]
            told = OPERATIONS[f"{module}.{route.endpoint.__name__}"]
            for method in route.methods or ():
                _complete(found["paths"][route.path][method.lower()], route.path, method, told)
    return found


def _parameter(place: str, name: str, shape: Shape) -> Shape:
    return {"name": name, "in": place, "schema": shape}


def _complete(operation: dict[str, Any], path: str, method: str, told: Operation) -> None:
    headers = (*told.headers, *EVERY_CALL, *(() if method == "GET" else EVERY_ORDER))
    operation["parameters"] = [
        {**_parameter("path", each, TEXT), "required": True}
        for each in re.findall(r"{(\w+)}", path)
    ] + [
        {"$ref": f"#/components/parameters/{each}"}
        for each in (*told.query, "enumFormat", *headers)
    ]
    if told.body is not None:
        operation["requestBody"] = {
            "required": told.body.needed,
            "content": _content(told.body.types, told.body.shape),
        }
    for response in operation["responses"].values():
        response.pop("content", None)
        if told.answer is not None:
            response["content"] = _content(told.answer_types, told.answer)
    if IF_NONE_MATCH in headers:
        operation["responses"]["304"] = {"description": "As the client has it"}
    operation["responses"]["default"] = {
        "description": "A problem (RFC 9457)",
        "content": _content(
            ("application/problem+json",), {"$ref": "#/components/schemas/Problem"}
        ),
    }


def _content(types: tuple[str, ...], shape: Shape) -> Mapping[str, Any]:
    return {each: {"schema": shape} for each in types}
