"""Start, stop, restart, and what runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from draas.contract.bodies import optional_object
from draas.contract.problems import ProblemError
from draas.control_plane.api.answers import answer
from draas.control_plane.api.elsewhere import at_its_host
from draas.control_plane.api.once import once
from draas.control_plane.api.requests import accepted, cause, control_plane, flag, instance_id
from draas.control_plane.control_plane import ControlPlane
from draas.control_plane.monitor import components_digest, running_of
from draas.control_plane.outcome import Outcome
from draas.control_plane.placement import unplaced
from draas.control_plane.records import Record, address, stamp
from draas.model.configuration import Configuration, from_snapshot
from draas.model.secrets import mask

router = APIRouter(tags=["Lifecycle"])


@router.post("/api/servers/instances/{id}/start")
@at_its_host
async def start(request: Request) -> Response:
    """Start with the stored configuration, or with the one in the body."""
    given = await optional_object(request)
    keep = flag(request, "keepDesiredRunState")
    start = control_plane(request).lifecycle.start
    return await _once(
        request,
        given,
        lambda: start(instance_id(request), given, cause(request), keep_desired=keep),
    )


@router.post("/api/servers/instances/{id}/stop")
@at_its_host
async def stop(request: Request) -> Response:
    """Stop what runs; a success too when nothing does."""
    keep = flag(request, "keepDesiredRunState")
    stop = control_plane(request).lifecycle.stop
    return await _once(
        request, None, lambda: stop(instance_id(request), cause(request), keep_desired=keep)
    )


@router.post("/api/servers/instances/{id}/restart")
@at_its_host
async def restart(request: Request) -> Response:
    """Stop and start with the stored configuration."""
    restart = control_plane(request).lifecycle.restart
    return await _once(request, None, lambda: restart(instance_id(request), cause(request)))


@router.post("/api/servers/instances/{id}/apply")
@at_its_host
async def apply(request: Request) -> Response:
    """Change the running server in place to the stored configuration, or to the body's."""
    given = await optional_object(request)
    apply = control_plane(request).hot_apply.apply
    return await _once(request, given, lambda: apply(instance_id(request), given, cause(request)))


async def _once(request: Request, given: object, act: Callable[[], Awaitable[Outcome]]) -> Response:
    async def told() -> Response:
        return _told(request, await act())

    return await once(request, given, told)


@router.get("/api/servers/instances/{id}/observed")
@at_its_host
async def observed(request: Request) -> Response:
    """What the running server reports now, secrets masked."""
    plane = control_plane(request)
    wanted = instance_id(request)
    record = plane.fleet.get(wanted)
    running = running_of(record)
    if running is None or record.slot is None:
        raise ProblemError(
            "instance-not-running", f"instance {wanted!r} does not run; start it first"
        )
    seen = await plane.observer.observe(running)
    digest, unreadable = components_digest(seen)
    if seen.snapshot is None or digest is None:
        why = unreadable or seen.reason or "it does not answer"
        raise ProblemError(
            "instance-unobservable", f"instance {wanted!r} cannot be read now: {why}"
        )
    host, port = address(record.slot)
    return answer(
        request,
        {
            "instanceId": wanted,
            "at": stamp(seen.at),
            "configuration": mask(
                await _as_configured(plane, record, from_snapshot(seen.snapshot))
            ),
            "componentsDigest": digest,
            "components": [
                {"kind": each.kind, "id": each.id, "status": each.status, "error": each.error}
                for each in seen.components
            ],
            "host": host,
            "port": port,
            "unobservable": ["logLevel"],
        },
    )


@router.get("/api/servers/instances/{id}/runtime-status")
@router.get("/api/status/{id}/status")
async def runtime_status(request: Request) -> Response:
    """What runs, as the platform knows it."""
    record = control_plane(request).fleet.get(instance_id(request))
    return answer(request, runtime_info(record))


async def _as_configured(plane: ControlPlane, record: Record, seen: Configuration) -> Configuration:
    """What the server reports, in the addresses and names that its configuration has."""
    slot = record.slot
    if slot is None or not slot.placement or slot.generation is None:
        return seen
    applied = await plane.configurations.generation(record.instance.id, slot.generation)
    return unplaced(seen, msgspec.json.decode(applied.document), slot.placement, slot.name)


def runtime_info(record: Record) -> dict[str, object]:
    """The contract's `RuntimeInfo`."""
    slot = record.slot
    return {
        "instanceId": record.instance.id,
        "status": record.instance.status,
        "startedAt": record.started_at,
        "stoppedAt": record.stopped_at,
        "containerId": None,
        "processId": str(slot.process_id) if slot and slot.process_id else None,
        "hostId": slot.host_id if slot else None,
        "podName": None,
        "namespace": None,
        "runtimeMetadata": record.reported,
        "errorMessage": record.instance.reason,
    }


def _told(request: Request, outcome: Outcome) -> Response:
    """JSON, or the prototype's sentence for who asks for text."""
    wanted = accepted(request.headers.get("accept", ""))
    if wanted and max(wanted, key=lambda each: wanted[each]) == "text/plain":
        return PlainTextResponse(outcome.message)
    return answer(request, outcome)
