"""Lifecycle calls with an `Idempotency-Key`: made once, answered as often as asked."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from draas.contract import routes
from draas.contract.problems import ProblemError
from draas.control_plane.api.requests import control_plane, instance_id
from draas.control_plane.records import Answer

LONGEST_KEY = 255
FINAL = ("start-failed", "hot-apply-failed", "restart-needed", "invalid-configuration")
"""Problems that are the outcome of a call; any other means that it was not made."""


async def once(request: Request, given: Any, act: Callable[[], Awaitable[Response]]) -> Response:
    """The answer of `act`, or the one that the same call got before.

    Raises:
        ProblemError: what `act` raises, invalid-parameter or idempotency-key-reused.
    """
    key = request.headers.get(routes.IDEMPOTENCY_KEY)
    if key is None:
        return await act()
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise ProblemError(
            "invalid-parameter",
            f"{routes.IDEMPOTENCY_KEY} must have 1 to {LONGEST_KEY} characters that print",
            parameter=routes.IDEMPOTENCY_KEY,
            value=key[:200],
        )
    fingerprint = _fingerprint(request, given)

    async def answered() -> Answer:
        try:
            response = await act()
        except ProblemError as problem:
            if problem.kind not in FINAL:
                raise
            body = msgspec.json.encode(problem.body(request.url.path))
            kind = "application/problem+json"
            return Answer(key, fingerprint, problem.status, kind, body)
        kind = response.media_type or "application/json"
        return Answer(key, fingerprint, response.status_code, kind, bytes(response.body))

    answers = control_plane(request).first_answers
    found = await answers.give(instance_id(request), key, fingerprint, answered)
    return Response(found.body, found.status, media_type=found.content_type)


def _fingerprint(request: Request, given: Any) -> str:
    what = (request.method, request.url.path, request.url.query, given)
    return hashlib.sha256(msgspec.json.encode(what)).hexdigest()
