"""The management API of configurations that many instances are brought to."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header

from draas.contract.routes import FORWARDED, ROLLOUTS
from draas.decide.rollout import is_condemned, limit
from draas.model.reconciliation import Trigger
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management.instances import connected
from draas.reconciliation.management.parameters import Actor
from draas.reconciliation.management.replicas import Replicas


def rollouts_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes of `/api/reconciliation/rollouts`; every daemon answers from what all tell."""
    routes = APIRouter(prefix=ROLLOUTS, tags=["rollouts"])

    @routes.get("")
    async def rollouts() -> dict[str, Any]:
        """The configurations that are under way, not proven yet, or failed."""
        told = {name for each in daemon.shards.told() for name in each.get("rollouts", {})}
        digests = sorted(daemon.rollouts.digests | told)
        return {"rollouts": [_shown(daemon, digest) for digest in digests]}

    @routes.post("/{digest}/release")
    async def release(
        digest: str,
        actor: Actor = "api",
        forwarded: Annotated[str | None, Header(alias=FORWARDED)] = None,
    ) -> dict[str, Any]:
        """Lift the quarantine of a configuration for the whole fleet: it is tried again."""
        connected(daemon)
        lifted: list[str] = []
        for instance_id in daemon.rollouts.failed(digest):
            if await daemon.by_hand.release(instance_id, actor):
                lifted.append(instance_id)
        if forwarded is None:
            path = f"{ROLLOUTS}/{digest}/release"
            for answer in await replicas.tell(path, actor):
                lifted += answer.get("released", [])
        for instance_id in list(daemon.fleet.plans):
            daemon.queue.add(instance_id, Trigger.CHANGE)
        return {"digest": digest, "released": sorted(lifted)}

    return routes


def _shown(daemon: Daemon, digest: str) -> dict[str, Any]:
    rollouts, most = daemon.rollouts, daemon.rules.max_unavailable
    views = [rollouts.view(digest, group) for group in rollouts.groups(digest) or [""]]
    view = views[0]
    return {
        "digest": digest,
        "groups": [
            {"group": each.group, "busy": each.busy, "limit": limit(most, each.total)}
            for each in views
        ],
        "failed": view.failed,
        "stopped": is_condemned(view, daemon.rules),
        "reason": view.reason,
    }
