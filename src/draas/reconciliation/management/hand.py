"""The management API by which a person takes an operation under way in hand."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from draas.contract.problems import ProblemError
from draas.model.reconciliation import Trigger, Wish
from draas.reconciliation.by_hand import NotNowError
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management import views
from draas.reconciliation.management.bodies import HAND, LONGEST_REASON, require_keys, takes
from draas.reconciliation.management.instances import connected, unknown
from draas.reconciliation.management.parameters import Actor, GivenObject
from draas.reconciliation.management.replicas import Replicas, router
from draas.reconciliation.request import Request


def hand_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes `promote`, `pause`, `resume` and `abort` of an instance."""
    routes = router(replicas, "hand")

    @routes.post("/instances/{instance_id}/promote", status_code=202, openapi_extra=takes(HAND))
    async def promote(instance_id: str, body: GivenObject, actor: Actor = "api") -> dict[str, Any]:
        """Let the step that is judged now count as passed, unless it fails."""
        return await _ask(daemon, instance_id, Wish.PROMOTE, body, actor)

    @routes.post("/instances/{instance_id}/pause", status_code=202, openapi_extra=takes(HAND))
    async def pause(instance_id: str, body: GivenObject, actor: Actor = "api") -> dict[str, Any]:
        """Go no step on; what was opened is watched all the same, and goes back if it is bad."""
        return await _ask(daemon, instance_id, Wish.PAUSE, body, actor)

    @routes.post("/instances/{instance_id}/resume", status_code=202, openapi_extra=takes(HAND))
    async def resume(instance_id: str, body: GivenObject, actor: Actor = "api") -> dict[str, Any]:
        """Go on with what was paused."""
        return await _ask(daemon, instance_id, Wish.RESUME, body, actor)

    @routes.post("/instances/{instance_id}/abort", status_code=202, openapi_extra=takes(HAND))
    async def abort(instance_id: str, body: GivenObject, actor: Actor = "api") -> dict[str, Any]:
        """Take the operation back; its configuration is not tried again until it is released."""
        return await _ask(daemon, instance_id, Wish.ABORT, body, actor)

    return routes


async def _ask(
    daemon: Daemon, instance_id: str, wish: Wish, body: dict[str, Any] | None, actor: str
) -> dict[str, Any]:
    connected(daemon)
    if instance_id not in daemon.fleet.states:
        raise unknown(instance_id)
    reason = _reason(body or {})
    try:
        operation = await daemon.by_hand.take_in_hand(instance_id, wish, actor, reason)
    except NotNowError as error:
        raise ProblemError("nothing-under-way", f"instance {instance_id!r}: {error}") from error
    if daemon.workers is not None:
        daemon.workers.ask(instance_id, Request(Trigger.CHANGE, actor))
    return {
        "instanceId": instance_id,
        "wish": wish.value,
        "operation": views.operation(operation),
    }


def _reason(body: dict[str, Any]) -> str:
    require_keys(body, HAND)
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
        raise ProblemError(
            "invalid-parameter",
            f"reason is {str(reason)[:100]!r}; give a text of at most {LONGEST_REASON} characters",
            parameter="reason",
        )
    return reason
