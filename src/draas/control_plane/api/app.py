"""The application: its routers, its probes, and the one place where errors become problems."""

from __future__ import annotations

import msgspec
from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from draas.contract.methods import allowed
from draas.contract.problems import ProblemError
from draas.control_plane.api import (
    changes,
    configurations,
    descriptions,
    docs,
    instances,
    itself,
    lifecycle,
    replicas,
    slots,
)
from draas.control_plane.api.answers import known_form
from draas.control_plane.api.failures import Unexpected
from draas.control_plane.api.present import Present
from draas.control_plane.api.schema import describe
from draas.control_plane.api.spelling import AnySpelling
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.store import StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import ControlPlaneMetrics

_PARTS = (
    instances,
    descriptions,
    lifecycle,
    slots,
    configurations,
    changes,
    replicas,
    itself,
    docs,
)
_ROUTES = [route for part in _PARTS for route in part.router.routes if isinstance(route, Route)]


def application(control_plane: ControlPlane) -> FastAPI:
    """Everything of docs/api.md over `control_plane`."""
    app = FastAPI(
        title="DRaaS control plane",
        openapi_url="/openapi/v1.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.control_plane = control_plane
    for part in _PARTS:
        app.include_router(part.router, dependencies=[Depends(known_form)])
    describe(app, _ROUTES)
    app.add_exception_handler(ProblemError, _refused)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Present, fleet=control_plane.fleet)
    app.add_middleware(AnySpelling)
    app.add_middleware(
        Unexpected, clock=control_plane.clock, answered=control_plane.metrics.answered
    )
    return app


def metrics() -> ControlPlaneMetrics:
    """Counters for the routes that `application` serves."""
    return ControlPlaneMetrics({route.path for route in _ROUTES})


def problem(request: Request, error: ProblemError) -> Response:
    """The error as `application/problem+json` (RFC 9457)."""
    content = msgspec.json.encode(error.body(request.url.path))
    return Response(content, error.status, media_type="application/problem+json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem(request, error)


async def _store(request: Request, error: Exception) -> Response:
    emit(messages.CONTROL_PLANE_STORE_FAILED, reason=str(error))
    detail = f"{error}; nothing was changed, try again"
    return problem(request, ProblemError("store-unavailable", detail))


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path[:200]}"
    if error.status_code == 405:
        methods = allowed(_ROUTES, request.scope)
        answer = problem(
            request, ProblemError("method-not-allowed", f"{what} is not served; use {methods}")
        )
        answer.headers["Allow"] = methods
        return answer
    if error.status_code == 404:
        detail = f"{what} is not served; /openapi/v1.json lists what is"
        return problem(request, ProblemError("route-not-found", detail))
    return problem(request, ProblemError("malformed-body", f"{what} cannot be read"))
