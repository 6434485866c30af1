"""The daemon's web application: probes, metrics, management API, every error a problem."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute

from draas.contract.methods import allowed
from draas.contract.problems import SCHEMA, ProblemError
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management.approvals import approvals_router
from draas.reconciliation.management.audit import audit_router, breaker_router
from draas.reconciliation.management.fleet import fleet_router
from draas.reconciliation.management.hand import hand_router
from draas.reconciliation.management.instances import instances_router, orders_router
from draas.reconciliation.management.parameters import require_known_query
from draas.reconciliation.management.replicas import Replicas
from draas.reconciliation.management.rollouts import rollouts_router
from draas.reconciliation.store import StoreError

REFUSED: dict[str, Any] = {
    "description": "A problem (RFC 9457)",
    "content": {"application/problem+json": {"schema": SCHEMA}},
}


def application(daemon: Daemon, replicas: Replicas) -> FastAPI:
    """The daemon's endpoints: `/health`, `/ready`, `/metrics`, `/api/reconciliation/…`."""
    app = FastAPI(title="DRaaS reconciliation daemon", docs_url=None, redoc_url=None)
    routers = [
        *(
            router(daemon, replicas)
            for router in (
                fleet_router,
                instances_router,
                orders_router,
                approvals_router,
                hand_router,
                rollouts_router,
                breaker_router,
            )
        ),
        audit_router(daemon),
    ]
    for each in routers:
        app.include_router(
            each, dependencies=[Depends(require_known_query)], responses={"default": REFUSED}
        )
    _probes(app, daemon)
    _problems(app, [route for each in (app.router, *routers) for route in each.routes])
    return app


def _probes(app: FastAPI, daemon: Daemon) -> None:
    @app.get("/health")
    async def health() -> JSONResponse:
        """Alive: every loop was heard of when it should have been."""
        silent = daemon.heartbeats.silent()
        body = {
            "status": "unhealthy" if silent else "ok",
            "loops": daemon.heartbeats.loops(),
            "silent": silent,
        }
        return JSONResponse(body, 503 if silent else 200)

    @app.get("/ready")
    async def ready() -> JSONResponse:
        """Able to work: settings valid, control plane and store reachable, first sync done."""
        threshold = daemon.settings.reconciliation.control_plane_outage_threshold
        away = daemon.link.away_for()
        reachable = daemon.connected.is_set() and away <= threshold.total_seconds()
        trouble = daemon.journal.trouble or daemon.shards.trouble
        checks = {
            "settings": True,
            "controlPlane": reachable,
            "firstSync": daemon.link.synced,
            "store": not trouble and daemon.shards.is_valid,
        }
        is_ready = all(checks.values())
        body: dict[str, Any] = {"status": "ready" if is_ready else "not ready", "checks": checks}
        if reason := trouble or daemon.link.reason:
            body["reason"] = reason
        return JSONResponse(body, 200 if is_ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus."""
        daemon.measure()
        content = await asyncio.to_thread(daemon.metrics.render)
        return Response(content, media_type=CONTENT_TYPE_LATEST)


def _problems(app: FastAPI, routes: list[BaseRoute]) -> None:
    def answer(request: Request, problem: ProblemError) -> JSONResponse:
        return JSONResponse(
            problem.body(request.url.path),
            problem.status,
            media_type="application/problem+json",
        )

    @app.exception_handler(ProblemError)
    async def refused(request: Request, error: ProblemError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(StoreError)
    async def store(request: Request, error: StoreError) -> JSONResponse:
        return answer(request, ProblemError("store-unavailable", str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return answer(request, ProblemError("invalid-parameter", f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        what = f"{request.method} {request.url.path[:200]}"
        if error.status_code == 405:
            methods = allowed(routes, request.scope)
            detail = f"{what} is not served; use {methods}"
            refusal = answer(request, ProblemError("method-not-allowed", detail))
            refusal.headers["Allow"] = methods
            return refusal
        if error.status_code == 404:
            return answer(request, ProblemError("route-not-found", f"{what} is not served"))
        return answer(request, ProblemError("malformed-body", f"{what} cannot be read"))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The web server logs it; its text may quote what is nobody's business.
        return answer(
            request, ProblemError("internal-error", "an unexpected error; the log names it")
        )
