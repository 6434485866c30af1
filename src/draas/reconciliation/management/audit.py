"""The management API of the audit and of the fleet's breaker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from draas.contract.problems import ProblemError
from draas.model.reconciliation import Outcome, Wish
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management import views
from draas.reconciliation.management.parameters import moment, one_of
from draas.reconciliation.management.replicas import Replicas, router
from draas.reconciliation.store import AuditQuery

EXPORT_PAGE = 500
OUTCOMES = (
    "started",
    *Outcome,
    "held",
    "adopted",
    "released",
    "approved",
    "rejected",
    *Wish,
    "gone",
)


def audit_router(daemon: Daemon) -> APIRouter:
    """The routes of `/api/reconciliation/audit`."""
    routes = APIRouter(prefix="/api/reconciliation", tags=["audit"])

    @routes.get("/audit")
    async def audit(
        instance_id: Annotated[str | None, Query(alias="instanceId")] = None,
        outcome: str | None = None,
        operation_id: Annotated[str | None, Query(alias="operationId")] = None,
        since: str | None = None,
        until: str | None = None,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
        format: str = "json",
    ) -> Any:
        """The audit, newest first; `before` pages on.

        From `since` on and before `until`. `format=ndjson` exports all that matches, or the newest
        `limit` of it.
        """
        one_of("format", format, ("json", "ndjson"))
        one_of("outcome", outcome, OUTCOMES)
        query = AuditQuery(
            instance_id=instance_id,
            outcome=outcome,
            operation_id=operation_id,
            since=moment("since", since),
            until=moment("until", until),
            before=before,
            limit=limit or daemon.settings.audit.view_limit,
        )
        if format == "ndjson":
            lines = _export(daemon, query, limit)
            return StreamingResponse(lines, media_type="application/x-ndjson")
        entries = await daemon.store.audit(query)
        following = entries[-1].sequence if len(entries) == query.limit else None
        return {"entries": [views.audit_entry(each) for each in entries], "next": following}

    @routes.get("/audit/verify")
    async def verify() -> dict[str, Any]:
        """Whether the chain of the audit holds."""
        verdict = await daemon.store.verify_audit()
        return {
            "intact": verdict.intact,
            "checked": verdict.checked,
            "brokenAt": verdict.broken_at,
            "reason": verdict.reason,
        }

    @routes.get("/operations/{operation_id}")
    async def operation(operation_id: str) -> dict[str, Any]:
        """The steps of an operation, oldest first, as long as the audit is kept."""
        steps = await daemon.store.operation_events(operation_id)
        if not steps:
            raise ProblemError(
                "operation-not-found", f"there is no operation {operation_id!r}, or not any more"
            )
        return {"operationId": operation_id, "steps": [views.step(each) for each in steps]}

    return routes


def breaker_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes of `/api/reconciliation/breaker`."""
    routes = router(replicas, "breaker")

    @routes.get("/breaker")
    async def breaker() -> dict[str, Any]:
        """The fleet's breaker."""
        state = daemon.breaker.state
        return {
            "open": state.open_since is not None,
            "since": views.when(state.open_since),
            "reason": state.reason,
        }

    @routes.post("/breaker/release")
    async def release_breaker() -> dict[str, Any]:
        """Let the work go on."""
        daemon.breaker.release()
        return {"open": False}

    return routes


async def _export(daemon: Daemon, query: AuditQuery, most: int | None) -> AsyncIterator[bytes]:
    before, told = query.before, 0
    while most is None or told < most:
        most_now = EXPORT_PAGE if most is None else min(EXPORT_PAGE, most - told)
        page = replace(query, before=before, limit=most_now)
        entries = await daemon.store.audit(page)
        for entry in entries:
            yield json.dumps(views.audit_entry(entry)).encode() + b"\n"
        if len(entries) < page.limit:
            return
        before, told = entries[-1].sequence, told + len(entries)
