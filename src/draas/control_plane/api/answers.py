"""Answers: ready bytes, ETags, and enumerations as integers for who asks for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from draas.contract import routes
from draas.control_plane.records import Generation
from draas.model.status import InstanceStatus, NumberedEnum, PlatformType

_NUMBERED: Mapping[str, type[NumberedEnum]] = {
    "status": InstanceStatus,
    "oldStatus": InstanceStatus,
    "newStatus": InstanceStatus,
    "platformType": PlatformType,
}
_FREE = ("metadata", "labels", "runtimeMetadata", "configuration")
"""Members whose content is not ours."""


def answer(
    request: Request, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The value as JSON."""
    return ready(request, msgspec.json.encode(value), status, headers)


def ready(
    request: Request, content: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON that is encoded already; decoded again only for who wants integers."""
    if wants_numbers(request):
        content = msgspec.json.encode(numbered(msgspec.json.decode(content)))
    return Response(content, status, headers, "application/json")


def wants_numbers(request: Request) -> bool:
    """Whether enumerations are to be written as the prototype's integers."""
    asked = request.query_params.get("enumFormat") or request.headers.get(routes.ENUM_FORMAT, "")
    return asked.lower() == "int"


def numbered(value: Any) -> Any:
    """JSON with the prototype's enumerations as integers (contract 2.1)."""
    if isinstance(value, list):
        return [numbered(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _NUMBERED[name].parse(each).number
        if name in _NUMBERED and isinstance(each, str)
        else each
        if name in _FREE
        else numbered(each)
        for name, each in value.items()
    }


def etag_of(content: bytes) -> str:
    """An ETag that changes with the content."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def fresh(request: Request, etag: str) -> bool:
    """Whether the client has this already (RFC 9110, 13.1.2)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return etag in tags or tags == ["*"]


def unless_fresh(request: Request, content: bytes, etag: str) -> Response:
    """The content with its ETag, or 304 without it."""
    if fresh(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return ready(request, content, headers={"ETag": etag})


def identity(found: Generation) -> dict[str, str]:
    """The headers that say which configuration it is."""
    return {
        "ETag": f'"{found.generation}"',
        routes.GENERATION: str(found.generation),
        routes.DIGEST: found.digest,
    }


def configuration(found: Generation, status: int = 200) -> Response:
    """A configuration, as it is stored."""
    return Response(found.document, status, identity(found), "application/json")
