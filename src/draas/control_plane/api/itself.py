"""The control plane about itself: alive, ready, measured."""

from __future__ import annotations

import asyncio
from collections import Counter

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from draas.control_plane.api.answers import answer
from draas.control_plane.api.requests import control_plane
from draas.control_plane.store import StoreError
from draas.telemetry.metrics import CONTENT_TYPE

router = APIRouter(tags=["Itself"])


@router.get("/health")
async def health(request: Request) -> Response:
    """Alive."""
    return answer(request, {"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    """Able to work: the store answers and running servers are taken over."""
    plane = control_plane(request)
    reason = None if plane.adopted else "running servers are being taken over"
    try:
        await plane.store.ping()
    except StoreError as error:
        reason = str(error)
    if reason is not None:
        return answer(request, {"status": "not ready", "reason": reason}, 503)
    return answer(request, {"status": "ready"})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Counters and gauges for Prometheus."""
    plane = control_plane(request)
    plane.metrics.instances(Counter(record.instance.status for record in plane.fleet))
    plane.metrics.changes_sequence.set(plane.fleet.feed.sequence)
    return Response(await asyncio.to_thread(plane.metrics.render), media_type=CONTENT_TYPE)
