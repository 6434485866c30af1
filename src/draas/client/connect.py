"""Find out what kind of control plane answers at a URL."""

from __future__ import annotations

from draas.client.control_plane import NativeControlPlane
from draas.client.foreign import ForeignControlPlane
from draas.client.http import MAXIMUM_LIST, HttpClient
from draas.client.port import ControlPlane, GarbageError, RefusedError
from draas.contract import routes

NOT_FOUND = (404, 405)


async def connect(http: HttpClient, *, poll_interval: float) -> ControlPlane:
    """The control plane at the client's URL: ours if it has a change feed, else a foreign one.

    Raises:
        ControlPlaneError: nobody answers, or what answers is no control plane.
    """
    try:
        await http.request("GET", routes.CHANGES)
    except RefusedError as error:
        if error.status not in NOT_FOUND:
            raise
    else:
        return NativeControlPlane(http)
    for base in (routes.SERVERS, routes.SERVERS_ALIAS):
        try:
            await http.request("GET", base + routes.INSTANCES, maximum=MAXIMUM_LIST)
        except RefusedError as error:
            if error.status in NOT_FOUND:
                continue
            raise
        return ForeignControlPlane(http, base, poll_interval=poll_interval)
    raise GarbageError(
        f"{http.url} serves neither {routes.SERVERS}{routes.INSTANCES} nor "
        f"{routes.SERVERS_ALIAS}{routes.INSTANCES}: is ControlPlaneUrl right?"
    )
