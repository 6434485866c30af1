"""Which methods a path is served under: HEAD wherever GET is, and the `Allow` of a 405."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from draas.contract.same_origin import Application, Receive, Scope, Send


def allowed(routes: Iterable[Any], scope: MutableMapping[str, Any]) -> str:
    """The methods of all routes that match the path of the request, in the form of the header.

    The web framework names those of the first route alone (RFC 9110, 15.5.6).
    """
    found = [each for each in routes if hasattr(each, "methods") and each.matches(scope)[0].value]
    methods = {method for each in found for method in each.methods}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


class HeadAsGet:
    """ASGI middleware: the application sees a HEAD as a GET, and the server sends no content."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
