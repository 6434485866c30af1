"""The management API of the fleet as a whole: the list, over all replicas, and who they are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query

from draas.contract.routes import FORWARDED
from draas.decide import gates
from draas.decide.assign import SHARDS
from draas.model.reconciliation import DriftKind
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management import views
from draas.reconciliation.management.parameters import Limit, one_of
from draas.reconciliation.management.replicas import Replicas

VERDICTS = ("in-sync", "drifted", "unknown")


def fleet_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes of `/api/reconciliation/instances` and `/api/reconciliation/replicas`."""
    routes = APIRouter(prefix="/api/reconciliation", tags=["reconciliation"])

    @routes.get("/instances")
    async def instances(
        verdict: str | None = None,
        kind: str | None = None,
        blocked_by: Annotated[str | None, Query(alias="blockedBy")] = None,
        after: str = "",
        limit: Limit = 100,
        forwarded: Annotated[str | None, Header(alias=FORWARDED)] = None,
    ) -> dict[str, Any]:
        """The drift state of each instance, by id; empty before the first sync.

        Each line is told by the daemon that works on the instance; where that does not answer, by
        this one, as far as it knows.
        """
        one_of("verdict", verdict, VERDICTS)
        one_of("kind", kind, tuple(DriftKind))
        one_of("blockedBy", blocked_by, gates.NAMES)
        given = {
            "verdict": verdict,
            "kind": kind,
            "blockedBy": blocked_by,
            "after": after,
            "limit": str(limit),
        }
        params = {name: value for name, value in given.items() if value is not None}
        pages = {} if forwarded else await replicas.pages(params)
        answered = {url for url, page in pages.items() if page is not None}

        def is_told_elsewhere(instance_id: str) -> bool:
            url = daemon.shards.owner_url(instance_id)
            return url is not None if forwarded else url in answered

        found: dict[str, dict[str, Any]] = {}
        for instance_id in sorted(daemon.fleet.states.keys() | daemon.fleet.unreadable.keys()):
            if len(found) > limit:
                break
            if instance_id <= after or is_told_elsewhere(instance_id):
                continue
            line = views.summary(daemon, instance_id)
            of_verdict = verdict in (None, line["drift"]["verdict"])
            of_kind = kind is None or kind in line["drift"]["kinds"]
            if of_verdict and of_kind and blocked_by in (None, line["blockedBy"]):
                found[instance_id] = line
        more = any(page and page.get("next") for page in pages.values())
        for page in pages.values():
            found |= {line["instanceId"]: line for line in (page or {}).get("instances", [])}
        shown = sorted(found)[:limit]
        return {
            "synced": daemon.link.synced,
            "instances": [found[instance_id] for instance_id in shown],
            "next": shown[-1] if more or len(found) > limit else None,
        }

    @routes.get("/replicas")
    async def every_replica() -> dict[str, Any]:
        """The daemons that share the fleet, and what this one works on."""
        shards = daemon.shards
        return {
            "replica": shards.member_id,
            "shards": {"held": shards.held, "total": SHARDS},
            "leads": shards.leads,
            "replicas": [{"id": each.id, "url": each.url} for each in shards.members],
        }

    return routes
