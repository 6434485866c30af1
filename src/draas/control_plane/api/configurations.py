"""Desired configurations, their server part, their history, and all of them in one stream."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from draas.contract.bodies import JSON, PATCH, body, object_body
from draas.contract.problems import ProblemError
from draas.control_plane.api.answers import answer, configuration, fresh, identity
from draas.control_plane.api.requests import accepted, cause, conditions, control_plane, instance_id
from draas.control_plane.configurations import present_version
from draas.control_plane.records import Generation
from draas.control_plane.store import Store
from draas.model.patch import SERVER

router = APIRouter(tags=["Configurations"])
CHUNK = 64 * 1024
_FIELDS = {name.lower(): name for name in SERVER}


@router.get("/api/configuration/instances/{id}")
async def get(request: Request) -> Response:
    """The desired configuration, flat."""
    plane, wanted = control_plane(request), instance_id(request)
    etag = f'"{present_version(plane.fleet.get(wanted).instance)}"'
    if fresh(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return configuration(await plane.configurations.get(wanted))


@router.patch("/api/configuration/instances/{id}", status_code=202)
async def patch(request: Request) -> Response:
    """Apply a JSON Patch: all of it, or nothing."""
    operations = await body(request, types=(PATCH, JSON))
    changed = await control_plane(request).configurations.patch(
        instance_id(request), operations, conditions(request, "if-match"), cause(request)
    )
    return configuration(changed, 202)


@router.put("/api/configuration/instances/{id}", status_code=202)
async def put(request: Request) -> Response:
    """Replace the whole configuration."""
    given = await object_body(request)
    if_match = conditions(request, "if-match")
    stored = control_plane(request).configurations.put(
        instance_id(request), given, if_match, cause(request)
    )
    return configuration(await stored, 202)


@router.get("/api/configuration/instances/{id}/history")
async def history(request: Request) -> Response:
    """All generations, newest first."""
    plane, wanted = control_plane(request), instance_id(request)
    good = plane.fleet.get(wanted).instance.last_good_generation
    return answer(
        request,
        [
            {
                "generation": each.generation,
                "digest": each.digest,
                "at": each.at,
                "actor": each.actor,
                "operationId": each.operation_id,
                "lastGood": each.generation == good,
            }
            for each in await plane.configurations.history(wanted)
        ],
    )


@router.get("/api/configuration/instances/{id}/history/{generation}")
async def generation(request: Request) -> Response:
    """One generation."""
    plane, wanted = control_plane(request), instance_id(request)
    plane.fleet.get(wanted)
    given = str(request.path_params["generation"])
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        detail = f"{given[:100]!r} is no number of a generation; the history lists them"
        raise ProblemError("generation-not-found", detail)
    return configuration(await plane.configurations.generation(wanted, int(given)))


@router.get("/api/configuration/instances/{id}/last-good")
async def last_good(request: Request) -> Response:
    """The newest configuration that was seen running."""
    plane = control_plane(request)
    return configuration(await plane.configurations.last_good(instance_id(request)))


@router.get("/api/configurations")
async def every(request: Request) -> Response:
    """Every present configuration, a line each (NDJSON), compressed if accepted."""
    lines = _lines(control_plane(request).store)
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" in accepted(request.headers.get("accept-encoding", "")):
        lines, headers["Content-Encoding"] = _gzipped(lines), "gzip"
    return StreamingResponse(lines, 200, headers, "application/x-ndjson")


@router.get("/api/servers/instances/{id}/configuration/server")
@router.get("/api/servers/instances/{id}/server-configuration")
async def get_server(request: Request) -> Response:
    """Host, port and log level."""
    found = await control_plane(request).configurations.get(instance_id(request))
    return _server(request, found)


@router.patch("/api/servers/instances/{id}/configuration/server")
@router.patch("/api/servers/instances/{id}/server-configuration")
async def patch_server(request: Request) -> Response:
    """Apply a JSON Patch to host, port and log level; the three as they are then."""
    operations = await body(request, types=(PATCH, JSON))
    return await _patched_server(request, operations)


@router.put("/api/servers/instances/{id}/configuration/server/{field}")
async def put_field(request: Request) -> Response:
    """Set host, port or log level to the bare JSON value of the body."""
    field = _FIELDS.get(str(request.path_params["field"]))
    if field is None:
        raise ProblemError("route-not-found", "the server part has host, port and loglevel only")
    value = await body(request)
    return await _patched_server(request, [{"op": "add", "path": f"/{field}", "value": value}])


async def _patched_server(request: Request, operations: Any) -> Response:
    changed = await control_plane(request).configurations.patch_server(
        instance_id(request), operations, conditions(request, "if-match"), cause(request)
    )
    return _server(request, changed)


def _server(request: Request, found: Generation) -> Response:
    whole: dict[str, Any] = msgspec.json.decode(found.document)
    part = {name: whole.get(name) for name in SERVER}
    return answer(request, part, headers=identity(found))


async def _lines(store: Store) -> AsyncIterator[bytes]:
    """The stream in pieces of about `CHUNK` bytes."""
    piece = bytearray()
    async for each in store.configurations():
        line = {
            "id": each.instance_id,
            "generation": each.generation,
            "digest": each.digest,
            "configuration": msgspec.Raw(each.document),
        }
        piece += msgspec.json.encode(line) + b"\n"
        if len(piece) >= CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


async def _gzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    squeeze = zlib.compressobj(level=1, wbits=31)
    async for piece in pieces:
        yield squeeze.compress(piece)
    yield squeeze.flush()
