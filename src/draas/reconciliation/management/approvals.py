"""The management API by which a person agrees to a plan, or does not (R-080)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import APIRouter

from draas.contract.problems import ProblemError
from draas.decide.approval import APPROVAL
from draas.decide.strategies import AUTO, STRATEGIES
from draas.model.clock import timestamp
from draas.model.reconciliation import Approval, Plan, Trigger
from draas.reconciliation.by_hand import NotNowError
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management.bodies import (
    APPROVE,
    LONGEST_SECONDS,
    REJECT,
    Keys,
    require_keys,
    takes,
)
from draas.reconciliation.management.instances import answering, connected, unknown
from draas.reconciliation.management.parameters import Actor, NeededObject, one_of
from draas.reconciliation.management.replicas import Replicas, router
from draas.reconciliation.request import Request


def approvals_router(daemon: Daemon, replicas: Replicas) -> APIRouter:
    """The routes `approve` and `reject` of `/api/reconciliation/instances/{id}`."""
    routes = router(replicas, "approvals")

    @routes.post("/instances/{instance_id}/approve", openapi_extra=takes(APPROVE, "plan"))
    async def approve(instance_id: str, body: NeededObject, actor: Actor = "api") -> dict[str, Any]:
        """Agree to the plan with this digest, for a time; it is carried out at once.

        `strategy` names how, else the settings do; `allowStateLoss` agrees that queries may begin
        empty.
        """
        given = _texts(body, APPROVE)
        one_of("strategy", given.get("strategy"), (*STRATEGIES, AUTO))
        lifetime = _lifetime(body.get("expiresInSeconds"), daemon.settings.approval.lifetime)
        may_lose = body.get("allowStateLoss", False)
        if not isinstance(may_lose, bool):
            raise ProblemError(
                "invalid-parameter", f"allowStateLoss is {may_lose!r}; give true or false"
            )
        return await _judge(
            daemon, instance_id, actor, given, lifetime, granted=True, allow_state_loss=may_lose
        )

    @routes.post("/instances/{instance_id}/reject", openapi_extra=takes(REJECT, "plan"))
    async def reject(instance_id: str, body: NeededObject, actor: Actor = "api") -> dict[str, Any]:
        """Refuse the plan with this digest: it is held until something about it changes."""
        given = _texts(body, REJECT)
        return await _judge(daemon, instance_id, actor, given, timedelta(), granted=False)

    return routes


async def _judge(
    daemon: Daemon,
    instance_id: str,
    actor: str,
    given: dict[str, str],
    lifetime: timedelta,
    *,
    granted: bool,
    allow_state_loss: bool = False,
) -> dict[str, Any]:
    reconciler = connected(daemon)
    async with answering(daemon):
        plan, observation = await reconciler.look(instance_id, Request(Trigger.RESYNC))
    if observation.snapshot.gone:
        raise unknown(instance_id)
    _require_waiting(plan, given.get("plan"), instance_id)
    now = daemon.clock.now()
    approval = Approval(
        plan_digest=plan.digest,
        granted=granted,
        actor=actor,
        at=now,
        until=now + lifetime,
        reason=given.get("reason", ""),
        strategy=given.get("strategy", ""),
        allow_state_loss=allow_state_loss,
    )
    try:
        await daemon.by_hand.judge(instance_id, approval)
    except NotNowError as error:
        raise ProblemError("nothing-to-approve", f"instance {instance_id!r}: {error}") from error
    if daemon.workers is not None:
        daemon.workers.ask(instance_id, Request(Trigger.CHANGE, actor))
    return {
        "instanceId": instance_id,
        "plan": plan.digest,
        "granted": granted,
        "until": timestamp(approval.until) if granted else None,
    }


def _require_waiting(plan: Plan, named: str | None, instance_id: str) -> None:
    """Only what waits for it can be decided on, and only as the person saw it.

    Raises:
        ProblemError: it is another plan by now, or none that waits.
    """
    gate = next((each for each in plan.gates if each.name == APPROVAL), None)
    if gate is None or gate.passed:
        raise ProblemError(
            "nothing-to-approve",
            f"no plan of instance {instance_id!r} waits for an approval now: "
            f"{plan.reason or plan.decision.value}",
            decision=plan.decision.value,
        )
    if named is None:
        raise ProblemError(
            "invalid-parameter",
            f"plan is missing; name the plan that you have seen, now {plan.digest}",
            parameter="plan",
        )
    if named != plan.digest:
        raise ProblemError(
            "plan-changed",
            f"the plan of instance {instance_id!r} is another one by now: {plan.digest}; "
            "look at it again",
            plan=plan.digest,
        )


def _texts(body: dict[str, Any], keys: Keys) -> dict[str, str]:
    require_keys(body, keys)
    for key, value in body.items():
        if key not in ("expiresInSeconds", "allowStateLoss") and not isinstance(value, str):
            raise ProblemError("invalid-parameter", f"{key} is {value!r}; give a text")
    return {key: value for key, value in body.items() if isinstance(value, str)}


def _lifetime(seconds: Any, usual: timedelta) -> timedelta:
    if seconds is None:
        return usual
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds <= LONGEST_SECONDS:
        raise ProblemError(
            "invalid-parameter",
            f"expiresInSeconds is {seconds!r}; give seconds above 0, at most {LONGEST_SECONDS}",
            parameter="expiresInSeconds",
            value=seconds,
        )
    return timedelta(seconds=seconds)
