"""Instances: create, list, get, delete, and what they run on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from draas.contract import routes
from draas.contract.bodies import body
from draas.contract.feed import InstanceStates
from draas.contract.problems import ProblemError
from draas.control_plane.api.answers import answer, digest_of, named_instance, unless_fresh
from draas.control_plane.api.elsewhere import at_its_host
from draas.control_plane.api.requests import (
    cause,
    choice,
    control_plane,
    instance_id,
    members,
    text,
    texts,
)
from draas.control_plane.fleet import Fleet
from draas.control_plane.instances import Creation
from draas.control_plane.picture import as_state
from draas.control_plane.records import Record
from draas.control_plane.status import parse_status, report
from draas.model.status import PlatformType, RunState

router = APIRouter(tags=["Instances"])
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@router.post("/api/servers/instances", status_code=201)
@router.post("/api/servers", status_code=201, include_in_schema=False)
async def create(request: Request) -> Response:
    """Create an instance; it is not started by the call."""
    made = await control_plane(request).instances.create(
        creation(await body(request)), cause(request)
    )
    headers = {"Location": routes.instance(made.instance.id)}
    return answer(request, made.instance, 201, headers)


@router.get("/api/servers/instances")
async def list_instances(request: Request) -> Response:
    """List instances; `view=state` is the slim form, `label=k=v` (repeatable) filters."""
    fleet = control_plane(request).fleet
    states = _view(request)
    labels = [_label(each) for each in request.query_params.getlist("label")]
    return unless_fresh(request, fleet.version, lambda: _listed(fleet, states, labels))


@router.get("/api/servers/instances/{id}")
async def get(request: Request) -> Response:
    """An instance with its levels."""
    content = msgspec.json.encode(control_plane(request).fleet.get(instance_id(request)).instance)
    return unless_fresh(request, digest_of(content), lambda: content)


@router.delete("/api/servers/instances/{id}", status_code=204)
@at_its_host
async def delete(request: Request) -> Response:
    """Stop the instance, tear it down, release its port and forget it."""
    await control_plane(request).lifecycle.delete(
        instance_id(request), cause(request), named_instance(request)
    )
    return Response(status_code=204)


@router.put("/api/servers/instances/{id}/status")
async def put_status(request: Request) -> Response:
    """Set the status that somebody knows of, by name or number."""
    status = parse_status(await body(request), "status")
    fleet = control_plane(request).fleet
    record = await report(fleet, instance_id(request), status, cause(request), {})
    return answer(request, record.instance)


@router.get("/api/servers/platforms")
async def platforms(request: Request) -> Response:
    """What instances can run on, and why not."""
    found = control_plane(request).platforms
    listed = []
    for kind in PlatformType:
        reason = found.unavailable(kind)
        listed.append({"platformType": kind.value, "available": reason is None, "reason": reason})
    return answer(request, listed)


def creation(given: Any) -> Creation:
    """What a body asks for, in any of its spellings.

    Raises:
        ProblemError: a member has the wrong type (malformed-body).
    """
    found = members(given)
    asked_id = found.get("id", found.get("instanceid"))
    if asked_id is not None and not (isinstance(asked_id, str) and _ID.fullmatch(asked_id)):
        raise ProblemError(
            "malformed-body",
            f"id {str(asked_id)[:128]!r} is not usable: 1 to 128 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit; leave it out to get one",
        )
    platform = {"platformtype": found.get("platformtype", found.get("platform"))}
    # The prototype's POST /api/servers brings an `instanceId` and no name.
    name = (
        text(found, "name", found.get("instanceid"))
        if "instanceid" in found
        else text(found, "name")
    )
    return Creation(
        instance_id=asked_id,
        name=name,
        description=text(found, "description", ""),
        platform_type=choice(platform, "platformType", PlatformType.PROCESS),
        labels=texts(found, "labels"),
        metadata=texts(found, "metadata"),
        configuration=_configuration(found),
        desired_run_state=choice(found, "desiredRunState", RunState.STOPPED),
    )


def _configuration(found: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the `serverConfiguration` beside it, nested as documents may be."""
    merged: dict[str, Any] = {}
    for name in ("configuration", "serverConfiguration"):
        value = found.get(name.lower())
        if value is not None and not isinstance(value, Mapping):
            raise ProblemError("malformed-body", f"{name} must be a JSON object")
        if value:
            merged |= value if name == "configuration" else {name: value}
    return merged


def _listed(fleet: Fleet, states: bool, labels: list[tuple[str, str]]) -> bytes:
    if states and not labels:
        return fleet.states()
    # One version has one order, whoever answers and whenever it was started.
    chosen = sorted((e for e in fleet if _has(e, labels)), key=lambda each: each.instance.id)
    if not states:
        return msgspec.json.encode([each.instance for each in chosen])
    slim = [as_state(each) for each in chosen]
    return msgspec.json.encode(InstanceStates(fleet.feed.epoch, fleet.feed.cursor, slim))


def _view(request: Request) -> bool:
    view = request.query_params.get("view", "")
    if view.lower() not in ("", "state", "full"):
        raise ProblemError(
            "invalid-parameter",
            f"view={view[:100]!r} is unknown: state, or leave it out",
            parameter="view",
            value=view[:200],
        )
    return view.lower() == "state"


def _label(given: str) -> tuple[str, str]:
    key, separator, value = given.partition("=")
    if not separator or not key:
        raise ProblemError(
            "invalid-parameter",
            f"label={given[:100]!r} is not of the form key=value",
            parameter="label",
            value=given[:200],
        )
    return key, value


def _has(record: Record, labels: list[tuple[str, str]]) -> bool:
    return all(record.instance.labels.get(key) == value for key, value in labels)
