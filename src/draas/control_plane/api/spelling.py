"""Paths in any case and under the alias reach the one canonical route; ids stay as they are."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_WITH_ID = {"servers": 3, "configuration": 3, "status": 2}
"""Where an id stands in the path `/api/<first>/…`."""


def canonical_path(path: str) -> str:
    """The path with its fixed parts in lower case and `/api/server` as `/api/servers` (B-01)."""
    parts = path.split("/")
    if len(parts) < 3 or parts[1].lower() != "api":
        return path.lower()
    first = parts[2].lower()
    first = "servers" if first == "server" else first
    fixed = [part.lower() for part in parts]
    fixed[2] = first
    place = _WITH_ID.get(first, 0) + 1
    if place > 1 and len(parts) > place and not (first == "status" and len(parts) == 4):
        fixed[place] = parts[place]
    return "/".join(fixed)


class AnySpelling:
    """ASGI middleware that puts `canonical_path` in place of the request's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request under its canonical path."""
        if scope["type"] == "http":
            scope["path"] = canonical_path(scope["path"])
        await self._app(scope, receive, send)
