"""What was answered at one control plane is seen at every other one over the same store."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from draas.control_plane.fleet import Fleet
from draas.control_plane.store import StoreError

PATIENCE_SECONDS = 1.0
"""While the store is away, so long is waited for it; then what was known last is answered."""


class Present:
    """ASGI middleware: each call begins with a look at what others wrote before it."""

    def __init__(self, app: ASGIApp, fleet: Fleet) -> None:
        self._app = app
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Catch up, then serve the request."""
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            with suppress(StoreError, TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._fleet.catch_up()
        await self._app(scope, receive, send)
