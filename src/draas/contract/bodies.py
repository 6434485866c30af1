"""Bodies of requests, read strictly and with a limit, by both processes that have an API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from starlette.requests import Request

from draas.contract.problems import ProblemError

LARGEST = 8 * 1024 * 1024
BODY_SECONDS = 30.0
"""How long a body may take to come, so that nobody holds a request open for ever."""
JSON = "application/json"
PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


async def body(request: Request, *, types: tuple[str, ...] = (JSON,)) -> Any:
    """The body as JSON.

    Raises:
        ProblemError: body-too-large, unsupported-media-type or malformed-body.
    """
    found = await optional_body(request, types=types)
    if found is None:
        raise ProblemError("malformed-body", "the body is empty or null; send JSON")
    return found


async def optional_body(
    request: Request, *, types: tuple[str, ...] = (JSON,), within: float = BODY_SECONDS
) -> Any | None:
    """The body as JSON, or `None` if there is none or it is `null`; raises as `body` does."""
    try:
        async with asyncio.timeout(within):
            content = await _content(request)
    except TimeoutError:
        raise ProblemError(
            "malformed-body", f"the body did not come whole within {within:g} s; send it at once"
        ) from None
    if not content.strip():
        return None
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise ProblemError(
            "unsupported-media-type",
            f"Content-Encoding {encoding[:100]!r} is not understood here; send the body as it is",
        )
    media_type = request.headers.get("content-type", JSON).split(";")[0].strip().lower()
    if media_type not in types:
        raise ProblemError(
            "unsupported-media-type",
            f"Content-Type {media_type[:100]!r} is not understood here; send {' or '.join(types)}",
        )
    return strict_json(content)


async def object_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object; raises as `body` does."""
    return _object_of(await body(request))


async def optional_object(request: Request) -> dict[str, Any] | None:
    """The body as a JSON object, or `None` if there is none; raises as `body` does."""
    found = await optional_body(request)
    return None if found is None else _object_of(found)


def _object_of(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ProblemError("malformed-body", "the body must be a JSON object")
    return given


async def _content(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    content = bytearray()
    if not (declared.isdigit() and int(declared) > LARGEST):
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST:
                break
        else:
            return bytes(content)
    raise ProblemError(
        "body-too-large", f"the body is larger than {LARGEST} bytes; send less at once"
    )


def strict_json(content: bytes) -> Any:
    """JSON as RFC 8259 has it: UTF-8, no NaN, no name twice in one object.

    Raises:
        ProblemError: malformed-body; its text quotes nothing of the content.
    """
    try:
        msgspec.json.decode(content)
        return json.loads(content, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        known = isinstance(error, msgspec.DecodeError | _TwiceError)
        why = str(error) if known else "it is nested too deep or not UTF-8"
        raise ProblemError("malformed-body", f"the body is not JSON: {why}"[:500]) from None


class _TwiceError(ValueError):
    """An object that says something twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"an object has the member {name[:100]!r} twice")
    return found
