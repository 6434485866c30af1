"""No web page gives orders: requests from another site or under a strange host name are refused.

A loopback API without access control can be reached by any page in a browser on the machine: by a
plain form post (CSRF) or by a name that the page's owner points at 127.0.0.1 (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from draas.contract.problems import ProblemError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class SameOrigin:
    """ASGI middleware. With `any_host` the name in `Host` is not checked: others may reach us."""

    def __init__(self, app: Application, *, any_host: bool) -> None:
        self._app = app
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it with 403 before anything has happened."""
        reason = self._refusal(scope) if scope["type"] == "http" else ""
        if not reason:
            await self._app(scope, receive, send)
            return
        problem = ProblemError("cross-site-request", reason)
        body = json.dumps(problem.body(scope["path"])).encode()
        headers = [(b"content-type", b"application/problem+json")]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> str:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._any_host and not _is_loopback(host):
            return f"the host {host[:100]!r} is not this machine; use 127.0.0.1 or localhost"
        if headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none"):
            return "a page of another site asked for this; use the command line"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.casefold() != host.casefold():
            return f"a page of {origin[:100]!r} asked for this; use the command line"
        return ""


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
