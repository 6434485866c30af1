"""The management API: what the daemon knows, would do, has done; and a person's orders to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query
from fastapi.responses import JSONResponse, StreamingResponse

from draas.contract.problems import ProblemError
from draas.decide.strategies import STRATEGIES
from draas.model.reconciliation import DriftKind, Trigger
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.explain import as_records, explain
from draas.reconciliation.management import views
from draas.reconciliation.reconcile import Reconciler, Request
from draas.reconciliation.store import AuditQuery

EXPORT_PAGE = 500
VERDICTS = ("in-sync", "drifted", "unknown")

Actor = Annotated[str, Header(alias="Draas-Actor", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def router(daemon: Daemon) -> APIRouter:
    """The routes below `/api/reconciliation`."""
    routes = APIRouter(prefix="/api/reconciliation", tags=["reconciliation"])

    @routes.get("/instances")
    async def instances(
        verdict: str | None = None,
        kind: str | None = None,
        after: str = "",
        limit: Limit = 100,
    ) -> dict[str, Any]:
        """The drift state of each instance, by id; `verdict` and `kind` filter."""
        _one_of("verdict", verdict, VERDICTS)
        _one_of("kind", kind, tuple(DriftKind))
        known = sorted(daemon.fleet.states.keys() | daemon.fleet.unreadable.keys())
        found: list[dict[str, Any]] = []
        for instance_id in known:
            if instance_id <= after:
                continue
            line = views.summary(daemon, instance_id)
            if verdict not in (None, line["drift"]["verdict"]):
                continue
            if kind is not None and kind not in line["drift"]["kinds"]:
                continue
            if len(found) == limit:
                return {"instances": found, "next": found[-1]["instanceId"]}
            found.append(line)
        return {"instances": found, "next": None}

    @routes.get("/instances/{instance_id}")
    async def instance(instance_id: str) -> dict[str, Any]:
        """One instance, read now: differences, every gate, the plan, the next look."""
        reconciler = _connected(daemon)
        return await _explained(daemon, reconciler, instance_id, Request(Trigger.RESYNC))

    @routes.post("/instances/{instance_id}/reconcile")
    async def reconcile(
        instance_id: str,
        body: Annotated[dict[str, Any] | None, Body()] = None,
        actor: Actor = "api",
    ) -> JSONResponse:
        """Look at the instance now; with `dryRun` only say what would be done.

        A person's call does not wait for back-off or the breaker; `strategy` chooses another one.
        """
        reconciler = _connected(daemon)
        wanted = body or {}
        strategy, dry_run = wanted.get("strategy"), wanted.get("dryRun", False)
        _one_of("strategy", strategy, tuple(STRATEGIES))
        if not isinstance(dry_run, bool):
            raise ProblemError("invalid-parameter", f"dryRun is {dry_run!r}; give true or false")
        request = Request(Trigger.MANUAL, actor, strategy)
        explained = await _explained(daemon, reconciler, instance_id, request)
        if not dry_run and daemon.workers is not None:
            daemon.workers.ask(instance_id, request)
        return JSONResponse({**explained, "dryRun": dry_run}, 200 if dry_run else 202)

    @routes.post("/instances/{instance_id}/release")
    async def release(instance_id: str, actor: Actor = "api") -> dict[str, Any]:
        """Lift the quarantine of an instance's configurations and look at it again."""
        reconciler = _connected(daemon)
        if instance_id not in daemon.fleet.states:
            raise _unknown(instance_id)
        lifted = await reconciler.release(instance_id, actor)
        if lifted and daemon.workers is not None:
            daemon.workers.ask(instance_id, Request(Trigger.MANUAL, actor))
        return {"instanceId": instance_id, "released": lifted}

    @routes.get("/breaker")
    async def breaker() -> dict[str, Any]:
        """The fleet's breaker."""
        state = daemon.breaker.state
        return {
            "open": state.open_since is not None,
            "since": views._when(state.open_since),
            "reason": state.reason,
        }

    @routes.post("/breaker/release")
    async def release_breaker() -> dict[str, Any]:
        """Let the work go on."""
        daemon.breaker.release()
        for instance_id in list(daemon.fleet.plans):
            daemon.queue.add(instance_id, Trigger.RESYNC)
        return {"open": False}

    @routes.get("/audit")
    async def audit(
        instance_id: Annotated[str | None, Query(alias="instanceId")] = None,
        outcome: str | None = None,
        operation_id: Annotated[str | None, Query(alias="operationId")] = None,
        since: str | None = None,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
        format: str = "json",
    ) -> Any:
        """The audit, newest first; `before` pages on; `format=ndjson` exports all that matches."""
        _one_of("format", format, ("json", "ndjson"))
        query = AuditQuery(
            instance_id=instance_id,
            outcome=outcome,
            operation_id=operation_id,
            since=since,
            before=before,
            limit=limit or daemon.settings.audit.view_limit,
        )
        if format == "ndjson":
            return StreamingResponse(_export(daemon, query), media_type="application/x-ndjson")
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

    return routes


async def _explained(
    daemon: Daemon, reconciler: Reconciler, instance_id: str, request: Request
) -> dict[str, Any]:
    plan, observation = await reconciler.look(instance_id, request)
    snapshot = observation.snapshot
    if snapshot.gone:
        raise _unknown(instance_id)
    answer = {"instanceId": instance_id, "plan": views.plan(plan), "summary": [], "differences": []}
    if snapshot.state is not None and daemon.control_plane is not None and plan.drift:
        comparison = await explain(
            daemon.control_plane, snapshot.state, plan.drift, observation.desired, snapshot.memory
        )
        answer["summary"] = list(comparison.summary)
        answer["differences"] = list(as_records(comparison))
    if instance_id in daemon.fleet.states:
        answer["state"] = views.summary(daemon, instance_id)
    return answer


async def _export(daemon: Daemon, query: AuditQuery) -> AsyncIterator[bytes]:
    before = query.before
    while True:
        page = AuditQuery(
            instance_id=query.instance_id,
            outcome=query.outcome,
            operation_id=query.operation_id,
            since=query.since,
            before=before,
            limit=EXPORT_PAGE,
        )
        entries = await daemon.store.audit(page)
        for entry in entries:
            yield json.dumps(views.audit_entry(entry)).encode() + b"\n"
        if len(entries) < EXPORT_PAGE:
            return
        before = entries[-1].sequence


def _connected(daemon: Daemon) -> Reconciler:
    if daemon.reconciler is None:
        raise ProblemError(
            "control-plane-unreachable",
            f"the control plane at {daemon.settings.control_plane_url} was not reached yet: "
            f"{daemon.link.reason}",
        )
    return daemon.reconciler


def _unknown(instance_id: str) -> ProblemError:
    return ProblemError("instance-not-found", f"there is no instance {instance_id!r}")


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise ProblemError(
            "invalid-parameter",
            f"{name} is {value!r}; it is one of {', '.join(allowed)}",
            parameter=name,
            value=value,
        )
