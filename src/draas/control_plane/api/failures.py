"""The outermost layer: a request id in every log line, and no exception's text on the wire."""

from __future__ import annotations

import logging

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from draas.contract.problems import ProblemError
from draas.model.clock import Clock

LOG = logging.getLogger("DRaaS.ControlPlane")


class Unexpected:
    """ASGI middleware that answers internal-error where anything else would be a bare 500."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request; whatever it raises is logged under its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        request_id = self._clock.new_id()
        with bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, noted)
            except Exception as error:
                LOG.error(
                    "Request %s failed unexpectedly: %s",
                    request_id,
                    type(error).__name__,
                    exc_info=error,
                )
                if begun:
                    raise
                await _answer(scope["path"], request_id, send)


async def _answer(path: str, request_id: str, send: Send) -> None:
    detail = f"an unexpected error; the log names it under request {request_id}"
    content = msgspec.json.encode(ProblemError("internal-error", detail).body(path))
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": content})
