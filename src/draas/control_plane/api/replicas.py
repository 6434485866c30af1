"""The control planes that share a store."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from draas.control_plane.api.answers import answer
from draas.control_plane.api.requests import cause, control_plane

router = APIRouter(tags=["Replicas"])


@router.get("/api/control-plane/replicas")
async def replicas(request: Request) -> Response:
    """This control plane's host, and every other one with the instances that it has."""
    plane = control_plane(request)
    return answer(request, {"host": plane.fleet.host, "replicas": plane.hosts.listed()})


@router.delete("/api/control-plane/replicas/{host}", status_code=204)
async def give_up(request: Request) -> Response:
    """Give up a host that is gone for good: what ran there may be started elsewhere."""
    host = str(request.path_params["host"])
    await control_plane(request).hosts.give_up(host, cause(request))
    return Response(status_code=204)
