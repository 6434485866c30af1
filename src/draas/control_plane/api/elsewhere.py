"""Calls that only one host can carry out are asked of it by whichever control plane is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from draas.client.http import HttpClient
from draas.client.port import ControlPlaneError, RefusedError
from draas.contract import routes
from draas.contract.bodies import optional_body
from draas.control_plane.api.requests import control_plane, instance_id
from draas.control_plane.hosts import unreachable
from draas.control_plane.ownership import owner, require_here

SECONDS = 120.0
"""The longest that a host may take to start or stop an instance."""
_PASSED_ON = (
    routes.ACTOR,
    routes.OPERATION,
    routes.FENCE,
    routes.IDEMPOTENCY_KEY,
    routes.ENUM_FORMAT,
    "Accept",
    "If-Match",
)
Handler = Callable[[Request], Awaitable[Response]]


def at_its_host(here: Handler) -> Handler:
    """Answer a call where its instance runs, or where somebody is at work on it.

    What was passed on already is not passed on again: it is refused if the instance moved.
    """

    @wraps(here)
    async def answered(request: Request) -> Response:
        plane, wanted = control_plane(request), instance_id(request)
        if wanted not in plane.fleet or plane.fleet.is_here(record := plane.fleet.get(wanted)):
            return await here(request)
        if routes.FORWARDED in request.headers:
            require_here(record, plane.fleet.host)
        return await _relayed(request, owner(record) or "")

    return answered


async def _relayed(request: Request, host: str) -> Response:
    url = control_plane(request).hosts.url_of(host)
    passed = {
        name: ", ".join(request.headers.getlist(name))
        for name in _PASSED_ON
        if name in request.headers
    }
    client = HttpClient(url, actor="")
    try:
        answer = await client.request(
            request.method,
            request.url.path,
            body=await optional_body(request),
            headers=passed | {routes.FORWARDED: "1"},
            params=request.query_params.multi_items(),
            within=SECONDS,
        )
    except RefusedError as error:
        content = msgspec.json.encode(error.members)
        return Response(content, error.status, media_type="application/problem+json")
    except ControlPlaneError as error:
        raise unreachable(host, url, str(error)) from None
    finally:
        await client.close()
    kind = answer.headers.get("Content-Type")
    return Response(answer.body or None, answer.status, media_type=kind)
