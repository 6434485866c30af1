"""The outermost layer: a request id in every log line, and no exception's text on the wire."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from draas.contract.problems import ProblemError
from draas.model.clock import Clock
from draas.telemetry import messages
from draas.telemetry.logs import context, emit


class Unexpected:
    """ASGI middleware that answers internal-error where anything else would be a bare 500."""

    def __init__(
        self, app: ASGIApp, clock: Clock, answered: Callable[[str, str, int], None]
    ) -> None:
        self._app = app
        self._clock = clock
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request; whatever it raises is logged under its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        request_id = self._clock.new_id()
        with context(request_id=request_id):
            try:
                await self._app(scope, receive, noted)
            except Exception as error:
                # The text of the exception may quote a configuration, and with it its secrets.
                emit(
                    messages.REQUEST_FAILED,
                    request_id=request_id,
                    error=type(error).__name__,
                    where=_where(error),
                )
                if status:
                    raise
                await _answer(scope["path"], request_id, noted)
        route = getattr(scope.get("route"), "path", "")
        self._answered(scope["method"], route, status)


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames)
    )


async def _answer(path: str, request_id: str, send: Send) -> None:
    detail = f"an unexpected error; the log names it under request {request_id}"
    content = msgspec.json.encode(ProblemError("internal-error", detail).body(path))
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": content})
