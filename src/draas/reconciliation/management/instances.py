"""The management API of instances: their drift, what would be done, a person's orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from draas.contract.problems import ProblemError
from draas.decide.approval import MANUAL
from draas.decide.strategies import AUTO, STRATEGIES
from draas.model.reconciliation import Trigger
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.explain import as_records, explain
from draas.reconciliation.management import views
from draas.reconciliation.management.bodies import RECONCILE, require_keys, takes
from draas.reconciliation.management.parameters import Actor, GivenObject, one_of
from draas.reconciliation.management.replicas import Replicas, router
from draas.reconciliation.reconcile import Reconciler
from draas.reconciliation.request import Request

LOOK_SECONDS = 20.0
"""How long a person waits for what the control plane says; clients give up after 30 s."""
AWAY_SECONDS = 2.0
"""The same, where it did not answer the last time."""
DONE_OR_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"description": "What would be done; with `dryRun`"},
    202: {"description": "What will be done"},
}


def instances_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes that show `/api/reconciliation/instances`."""
    routes = router(replicas, "reconciliation")

    @routes.get("/instances/{instance_id}")
    async def instance(instance_id: str) -> dict[str, Any]:
        """One instance, read now: differences, every gate, the plan, the next look."""
        reconciler = connected(daemon)
        return await _explained(daemon, reconciler, instance_id, Request(Trigger.RESYNC))

    return routes


def orders_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes by which a person gives orders about an instance."""
    routes = router(replicas, "reconciliation")

    @routes.post(
        "/instances/{instance_id}/reconcile",
        status_code=202,
        responses=DONE_OR_SHOWN,
        openapi_extra=takes(RECONCILE),
    )
    async def reconcile(
        instance_id: str,
        body: GivenObject,
        actor: Actor = "api",
    ) -> JSONResponse:
        """Look at the instance now; with `dryRun` only say what would be done.

        A person's call does not wait for back-off or the breaker; `strategy` chooses another one,
        and `allowStateLoss` agrees that queries may begin empty.
        """
        reconciler = connected(daemon)
        wanted = body or {}
        require_keys(wanted, RECONCILE)
        strategy, dry_run = wanted.get("strategy"), wanted.get("dryRun", False)
        may_lose = wanted.get("allowStateLoss", False)
        one_of("strategy", strategy, (*STRATEGIES, AUTO, MANUAL))
        for name, value in (("dryRun", dry_run), ("allowStateLoss", may_lose)):
            if not isinstance(value, bool):
                raise ProblemError("invalid-parameter", f"{name} is {value!r}; give true or false")
        request = Request(Trigger.MANUAL, actor, strategy, may_lose)
        explained = await _explained(daemon, reconciler, instance_id, request)
        if not dry_run and daemon.shards.is_left_to_rival(instance_id):
            raise ProblemError(
                "left-to-another-daemon",
                f"a daemon with a store of its own works on instance {instance_id!r}; ask that "
                "one, or end it: this one takes the instance back within five minutes",
            )
        if not dry_run and daemon.workers is not None:
            daemon.workers.ask(instance_id, request)
        return JSONResponse({**explained, "dryRun": dry_run}, 200 if dry_run else 202)

    @routes.post("/instances/{instance_id}/release")
    async def release(instance_id: str, actor: Actor = "api") -> dict[str, Any]:
        """Lift the quarantine of an instance's configurations and look at it again."""
        connected(daemon)
        if instance_id not in daemon.fleet.states:
            raise unknown(instance_id)
        lifted = await daemon.by_hand.release(instance_id, actor)
        if lifted and daemon.workers is not None:
            daemon.workers.ask(instance_id, Request(Trigger.MANUAL, actor))
        return {"instanceId": instance_id, "released": lifted}

    return routes


async def _explained(
    daemon: Daemon, reconciler: Reconciler, instance_id: str, request: Request
) -> dict[str, Any]:
    async with answering(daemon):
        return await _answer(daemon, reconciler, instance_id, request)


async def _answer(
    daemon: Daemon, reconciler: Reconciler, instance_id: str, request: Request
) -> dict[str, Any]:
    plan, observation = await reconciler.look(instance_id, request)
    snapshot = observation.snapshot
    if snapshot.gone:
        raise unknown(instance_id)
    answer: dict[str, Any] = {
        "instanceId": instance_id,
        "plan": views.plan(plan),
        "looks": daemon.looks,
        "summary": [],
        "differences": [],
    }
    if snapshot.state is not None and daemon.control_plane is not None and plan.drift:
        comparison = await explain(
            daemon.control_plane, snapshot.state, plan.drift, observation.desired, snapshot.memory
        )
        answer["summary"] = list(comparison.summary)
        answer["differences"] = list(as_records(comparison))
    if instance_id in daemon.fleet.states:
        answer["state"] = views.summary(daemon, instance_id)
    return answer


@asynccontextmanager
async def answering(daemon: Daemon) -> AsyncIterator[None]:
    """Look at an instance while a person waits, who is told of a control plane that hangs.

    Raises:
        ProblemError: control-plane-unreachable; soon, if it is known not to answer.
    """
    within = AWAY_SECONDS if daemon.link.is_away else LOOK_SECONDS
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError:
        why = f": {daemon.link.reason}" if daemon.link.reason else ""
        raise ProblemError(
            "control-plane-unreachable",
            f"the control plane at {daemon.settings.control_plane_url} did not answer in "
            f"{within:g} s{why}",
        ) from None


def connected(daemon: Daemon) -> Reconciler:
    """The reconciler.

    Raises:
        ProblemError: the control plane was not reached yet.
    """
    if daemon.reconciler is None:
        raise ProblemError(
            "control-plane-unreachable",
            f"the control plane at {daemon.settings.control_plane_url} was not reached yet: "
            f"{daemon.link.reason}",
        )
    return daemon.reconciler


def unknown(instance_id: str) -> ProblemError:
    """The problem of an id that is not there."""
    return ProblemError("instance-not-found", f"there is no instance {instance_id!r}")
