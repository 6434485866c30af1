"""Slots: a second copy of an instance, its traffic, and how its results compare."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from draas.contract.bodies import body, optional_body
from draas.contract.problems import ProblemError
from draas.contract.slots import Counters, Traffic, Weights
from draas.control_plane.api.answers import answer
from draas.control_plane.api.elsewhere import at_its_host
from draas.control_plane.api.once import once
from draas.control_plane.api.requests import cause, control_plane, instance_id, members, number
from draas.control_plane.records import stamp
from draas.control_plane.slot_views import slots_view

router = APIRouter(tags=["Slots"])
LONGEST_DRAIN = 600.0


@router.get("/api/servers/instances/{id}/slots")
@at_its_host
async def list_slots(request: Request) -> Response:
    """The slots of an instance as they are now, the serving one first."""
    plane = control_plane(request)
    record = plane.fleet.get(instance_id(request))
    return answer(request, await slots_view(record, plane.traffic, plane.observer, plane.handover))


@router.post("/api/servers/instances/{id}/slots/plan")
@at_its_host
async def plan(request: Request) -> Response:
    """What a change by two slots would meet: whether it is possible, and what it would lose."""
    given, _ = _candidate(await optional_body(request))
    found = await control_plane(request).slot_plans.plan(
        instance_id(request), given, cause(request)
    )
    return answer(request, found)


@router.post("/api/servers/instances/{id}/slots", status_code=201)
@at_its_host
async def open_slot(request: Request) -> Response:
    """Bring up a candidate beside the serving slot; it gets no traffic yet."""
    given, allow_state_loss = _candidate(await optional_body(request))
    plane, wanted = control_plane(request), instance_id(request)

    async def act() -> Response:
        record = await plane.slots.open(
            wanted, given, cause(request), allow_state_loss=allow_state_loss
        )
        view = await slots_view(record, plane.traffic, plane.observer, plane.handover)
        return answer(request, view.spare, 201)

    return await once(request, [given, allow_state_loss], act)


@router.put("/api/servers/instances/{id}/traffic")
@at_its_host
async def weigh(request: Request) -> Response:
    """Share the traffic between the slots, in percent; live when this answers."""
    given = members(await body(request)).get("weights")
    if not isinstance(given, dict) or any(type(each) is not int for each in given.values()):
        raise ProblemError("malformed-body", 'weights must be an object such as {"main": 100}')
    plane, wanted = control_plane(request), instance_id(request)

    async def act() -> Response:
        await plane.slots.weigh(wanted, given, cause(request))
        return answer(request, Weights(weights=given))

    return await once(request, given, act)


@router.get("/api/servers/instances/{id}/traffic")
@at_its_host
async def traffic(request: Request) -> Response:
    """What each slot was sent since it was attached to the router."""
    plane = control_plane(request)
    found = await plane.traffic.counters(plane.fleet.get(instance_id(request)))
    slots = {
        name: Counters(
            requests=each.requests,
            errors=each.errors,
            codes=dict(each.codes),
            latency=list(each.latency),
            inflight=each.inflight,
            healthy=each.healthy is not False,
            retries=each.retries,
            mirror_failures=each.mirror_failures,
        )
        for name, each in found.items()
    }
    return answer(request, Traffic(at=stamp(plane.clock.now()), slots=slots))


@router.get("/api/servers/instances/{id}/parity")
@at_its_host
async def parity(request: Request) -> Response:
    """Whether the queries whose text did not change give the same rows in both slots."""
    return answer(request, await control_plane(request).parity.compare(instance_id(request)))


@router.post("/api/servers/instances/{id}/slots/{name}/switch")
@at_its_host
async def switch(request: Request) -> Response:
    """Let this slot serve; the one that served is kept as the way back."""
    plane, wanted = control_plane(request), instance_id(request)

    async def act() -> Response:
        record = await plane.slots.switch(wanted, _name(request), cause(request))
        view = await slots_view(record, plane.traffic, plane.observer, plane.handover)
        return answer(request, view)

    return await once(request, None, act)


@router.delete("/api/servers/instances/{id}/slots/{name}", status_code=204)
@at_its_host
async def close_slot(request: Request) -> Response:
    """Take the slot that does not serve away, once its requests are answered."""
    drain = number(request, "drainSeconds", 0.0, most=LONGEST_DRAIN)
    plane, wanted = control_plane(request), instance_id(request)

    async def act() -> Response:
        await plane.slots.close(wanted, _name(request), drain, cause(request))
        return Response(status_code=204)

    return await once(request, None, act)


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _candidate(given: Any | None) -> tuple[Any | None, bool]:
    """The configuration, `None` for the stored one, and whether queries may begin empty."""
    found = members({} if given is None else given)
    configuration = found.get("configuration")
    allowed = found.get("allowstateloss", False)
    if configuration is not None and not isinstance(configuration, dict):
        raise ProblemError("malformed-body", "configuration must be a JSON object")
    if not isinstance(allowed, bool):
        raise ProblemError("malformed-body", "allowStateLoss must be true or false")
    return configuration, allowed
