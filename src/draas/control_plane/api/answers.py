"""Answers: ready bytes, ETags, and enumerations as integers for who asks for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from draas.contract import routes
from draas.contract.problems import ProblemError
from draas.control_plane.api.requests import conditions
from draas.control_plane.preconditions import Precondition, require, unconditional
from draas.control_plane.records import Generation
from draas.model.instance import Instance
from draas.model.status import InstanceStatus, NumberedEnum, PlatformType

_NUMBERED: Mapping[str, type[NumberedEnum]] = {
    "status": InstanceStatus,
    "oldStatus": InstanceStatus,
    "newStatus": InstanceStatus,
    "platformType": PlatformType,
}
VARY = {"Vary": routes.ENUM_FORMAT}
_FREE = ("metadata", "labels", "runtimeMetadata", "configuration", "components")
"""Members whose content is not ours: texts of users, and documents and words of Drasi's."""


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
    return Response(content, status, {**VARY, **(headers or {})}, "application/json")


async def known_form(request: Request) -> None:
    """Before anything is done: refuse what `wants_numbers` does not know."""
    wants_numbers(request)


def wants_numbers(request: Request) -> bool:
    """Whether enumerations are to be written as the prototype's integers.

    Raises:
        ProblemError: neither names nor integers are asked for (invalid-parameter).
    """
    name = "enumFormat" if "enumFormat" in request.query_params else routes.ENUM_FORMAT
    asked = request.query_params.get(name) or request.headers.get(name) or "name"
    if asked.lower() not in ("int", "name"):
        raise ProblemError(
            "invalid-parameter",
            f"{name}={asked[:100]!r} is unknown: int, or name, which is what you get without it",
            parameter=name,
            value=asked[:200],
        )
    return asked.lower() == "int"


def numbered(value: Any) -> Any:
    """JSON with the prototype's enumerations as integers (contract 2.1).

    A word that the enumeration of its member does not have stays as it is.
    """
    if isinstance(value, list):
        return [numbered(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _number(_NUMBERED[name], each)
        if name in _NUMBERED and isinstance(each, str)
        else each
        if name in _FREE
        else numbered(each)
        for name, each in value.items()
    }


def _number(kind: type[NumberedEnum], word: str) -> int | str:
    try:
        return kind(word).number
    except ValueError:
        return word


def digest_of(content: bytes) -> str:
    """A version that changes with the content."""
    return hashlib.sha256(content).hexdigest()[:32]


def etag_of(request: Request, version: str) -> str:
    """The ETag of a version in the form that is asked for: each form of one has its own."""
    return f'"{version}-int"' if wants_numbers(request) else f'"{version}"'


def fresh(request: Request, etag: str) -> bool:
    """Whether the client has this already (RFC 9110, 13.1.2)."""
    given = conditions(request, "if-none-match")
    if given is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return etag in tags or tags == ["*"]


def named_instance(request: Request) -> Precondition:
    """What `If-Match` asks of an instance before it changes: a tag that a GET of it had."""
    if_match = conditions(request, "if-match")

    def check(instance: Instance) -> None:
        version = digest_of(msgspec.json.encode(instance))
        tags = (f'"{version}"', f'"{version}-int"')
        require(if_match, tags, f"instance {instance.id!r} as it is now")

    return unconditional if if_match is None else check


def unless_fresh(request: Request, version: str, content: Callable[[], bytes]) -> Response:
    """The content with its ETag; 304 where the client has this version, and nothing is made."""
    etag = etag_of(request, version)
    if fresh(request, etag):
        return Response(status_code=304, headers={"ETag": etag, **VARY})
    return ready(request, content(), headers={"ETag": etag})


def identity(found: Generation) -> dict[str, str]:
    """The headers that say which configuration it is."""
    return {
        "ETag": f'"{found.version}"',
        routes.GENERATION: str(found.generation),
        routes.DIGEST: found.digest,
    }


def configuration(found: Generation, status: int = 200) -> Response:
    """A configuration, as it is stored."""
    return Response(found.document, status, identity(found), "application/json")
