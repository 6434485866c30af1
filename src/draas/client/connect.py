"""Find out what kind of control plane answers at a URL."""

from __future__ import annotations

from collections.abc import Awaitable

from draas.client.control_plane import NativeControlPlane
from draas.client.foreign import NOT_FOUND, ForeignControlPlane, list_at
from draas.client.http import HttpClient
from draas.client.port import ControlPlane, GarbageError, RefusedError
from draas.contract import routes


async def connect(http: HttpClient, *, poll_interval: float) -> ControlPlane:
    """The control plane at the client's URL: ours if it has a change feed, else a foreign one.

    A page that stands for all that is not found is no proof of anything.

    Raises:
        ControlPlaneError: nobody answers, or what answers is no control plane.
    """
    if await _is_there(_feed(http)):
        return NativeControlPlane(http)
    for base in (routes.SERVERS, routes.SERVERS_ALIAS):
        if await _is_there(_list(http, base)):
            tells = await _is_there(_recent_changes(http))
            return ForeignControlPlane(http, base, poll_interval=poll_interval, tells_changes=tells)
    raise GarbageError(
        f"{http.url} serves neither {routes.SERVERS}{routes.INSTANCES} nor "
        f"{routes.SERVERS_ALIAS}{routes.INSTANCES}: is ControlPlaneUrl right?"
    )


async def _is_there(question: Awaitable[bool]) -> bool:
    """Whether the answer is yes, and not that there is no such thing."""
    try:
        return await question
    except RefusedError as error:
        if error.status in NOT_FOUND or error.is_redirect:
            return False
        raise


async def _feed(http: HttpClient) -> bool:
    """Whether there is a change feed; one that is garbled is one, and raises."""
    answer = await http.request("GET", routes.CHANGES)
    if not answer.body.lstrip().startswith(b"{"):
        return False
    body = answer.json()
    return "cursor" in body and "changes" in body


async def _list(http: HttpClient, base: str) -> bool:
    try:
        await list_at(http, base)
    except GarbageError:
        return False
    return True


async def _recent_changes(http: HttpClient) -> bool:
    """Whether there are recent changes; a server in trouble may have them."""
    try:
        return isinstance((await http.request("GET", routes.RECENT_CHANGES)).salvaged(), list)
    except GarbageError:
        return False
    except RefusedError as error:
        if error.status < 500:
            raise
        return True
