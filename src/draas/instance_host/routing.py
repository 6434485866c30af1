"""From method and path to a handler; what a handler reads from a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from draas.contract.drasi_server import INVALID_REQUEST
from draas.instance_host.errors import ApiError, invalid
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import EVENT_STREAM, Response, json_response
from draas.instance_host.parsing import parse_json, parse_yaml, shallow

RouteHandler = Callable[..., Awaitable[Response]]
"""Takes the request, then the path's variable parts as keyword arguments."""

KEEP_ALIVE_SECONDS = 15.0
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


class Router:
    """Routes such as `/queries/{id}/start`; callable as an `http_server.Handler`.

    `guard` raises an `ApiError` for a request that is refused whatever it asks.
    """

    def __init__(self, guard: Callable[[Request], None] = lambda request: None) -> None:
        self._guard = guard
        self._routes: dict[int, list[tuple[list[str], dict[str, RouteHandler]]]] = {}

    def add(self, method: str, path: str, handler: RouteHandler) -> None:
        """Serve `method` on `path`, whose parts in braces are the handler's arguments."""
        pattern = path.split("/")
        routes = self._routes.setdefault(len(pattern), [])
        for known, methods in routes:
            if known == pattern:
                methods[method] = handler
                return
        routes.append((pattern, {method: handler}))

    async def __call__(self, request: Request) -> Response:
        """The answer of the route; 404, 405 and every `ApiError` as the error envelope."""
        try:
            self._guard(request)
            return await self._dispatch(request)
        except ApiError as error:
            return json_response(error.document(), error.status)

    async def _dispatch(self, request: Request) -> Response:
        parts = [_decoded(part) for part in request.path.split("/")]
        allowed: set[str] = set()
        for pattern, methods in self._routes.get(len(parts), ()):
            values = _match(pattern, parts)
            if values is None:
                continue
            handler = methods.get("GET" if request.method == "HEAD" else request.method)
            if handler is not None:
                return await handler(request, **values)
            allowed |= methods.keys()
        if not allowed:
            return json_response({"code": "NOT_FOUND", "message": "no such route"}, 404)
        refused = json_response(
            {"code": INVALID_REQUEST, "message": f"{request.method} is not allowed here"}, 405
        )
        refused.headers["allow"] = ", ".join(sorted(allowed))
        return refused


def parameter(request: Request, name: str) -> str | None:
    """A parameter of the query string, or None."""
    for pair in request.query.split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return _decoded(value.replace("+", " "))
    return None


def document_of(request: Request) -> Any:
    """The body as JSON, or as YAML if its Content-Type says so; `ApiError` (400) if it is not."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        parse = parse_yaml if content_type in YAML_TYPES else parse_json
        return shallow(parse(request.body))
    except ValueError as error:
        raise invalid(f"the body is not valid: {error}") from error


def event_stream(entries: AsyncIterator[Any]) -> Response:
    """Server-sent events, one JSON document each, with a comment every 15 seconds of silence."""
    return Response(
        content_type=EVENT_STREAM,
        headers={"cache-control": "no-cache"},
        stream=_events(cast("AsyncGenerator[Any, None]", entries)),
    )


def event(document: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def _events(entries: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(entries):
        pending: asyncio.Task[Any] = asyncio.ensure_future(anext(entries))
        try:
            await asyncio.sleep(0)  # what comes after "connected" is not missed
            yield b": connected\n\n"
            while True:
                done, _ = await asyncio.wait({pending}, timeout=KEEP_ALIVE_SECONDS)
                if not done:
                    yield b": heartbeat\n\n"
                    continue
                try:
                    entry = pending.result()
                except StopAsyncIteration:
                    return
                yield event(entry)
                pending = asyncio.ensure_future(anext(entries))
        finally:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)


def encoded(part: str) -> str:
    """A part of a path, percent-encoded."""
    if part.isascii() and part.replace("-", "").replace("_", "").isalnum():
        return part
    from urllib.parse import quote  # noqa: PLC0415 - only for ids that need it

    return quote(part, safe="")


def _match(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    values = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{") and part:
            values[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return values


def _decoded(part: str) -> str:
    if "%" not in part:
        return part
    from urllib.parse import unquote  # noqa: PLC0415 - only for ids that need it

    return unquote(part)
