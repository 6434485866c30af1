"""The change feed, and the prototype's view of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from draas.contract.bodies import body
from draas.contract.feed import MOST
from draas.contract.problems import ProblemError
from draas.control_plane.api.answers import answer
from draas.control_plane.api.requests import (
    cause,
    control_plane,
    members,
    number,
    text,
    texts,
    whole,
)
from draas.control_plane.records import stamp
from draas.control_plane.status import parse_status, report
from draas.model.status import InstanceStatus

router = APIRouter(tags=["Changes"])
DEFAULT_WINDOW = timedelta(minutes=5)


@router.get("/api/changes")
async def changes(request: Request) -> Response:
    """Changes after a cursor, as soon as there are any (long poll)."""
    wait = number(request, "wait", 0)
    limit = whole(request, "limit", MOST, least=1)
    feed = control_plane(request).fleet.feed
    return answer(request, await feed.after(request.query_params.get("after"), wait, limit))


@router.get("/api/status/recent-changes")
async def recent_changes(request: Request) -> Response:
    """Changes of status since an instant, ascending; for clients of the prototype.

    Those know of no status that is missing: what was just made was Created before, too.
    """
    plane = control_plane(request)
    since = _since(request) or plane.clock.now() - DEFAULT_WINDOW
    found = await plane.store.changes_since(stamp(since), _filter(request))
    return answer(
        request,
        [
            {
                "sequence": each.sequence,
                "instanceId": each.instance_id,
                "oldStatus": each.old_status or each.new_status,
                "newStatus": each.new_status,
                "source": each.source,
                "timestamp": each.at,
                "metadata": each.metadata,
            }
            for each in found
        ],
    )


@router.post("/api/status/updates", status_code=202)
async def updates(request: Request) -> Response:
    """What a platform's own daemon knows of an instance."""
    found = members(await body(request))
    wanted, source = text(found, "instanceId"), text(found, "source")
    if found.get("status") is None:
        raise ProblemError("malformed-body", "status is missing: a name such as Running")
    status = parse_status(found["status"], "status")
    why = cause(request)._replace(source=source[:200])
    await report(control_plane(request).fleet, wanted, status, why, texts(found, "metadata"))
    return Response(status_code=202)


def _since(request: Request) -> datetime | None:
    given = request.query_params.get("since")
    if given is None:
        return None
    try:
        # A `+` of the offset that was not escaped arrives as a space (B-97).
        instant = datetime.fromisoformat(given.strip().replace(" ", "+") if "T" in given else given)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ProblemError(
            "invalid-parameter",
            f"since={given[:100]!r} is no instant such as 2030-01-31T12:00:00Z",
            parameter="since",
            value=given[:200],
        ) from None


def _filter(request: Request) -> str | None:
    given = request.query_params.get("statusFilter")
    if given is None:
        return None
    try:
        return InstanceStatus.parse(given).value
    except ValueError as error:
        raise ProblemError(
            "invalid-parameter",
            f"statusFilter: {error}"[:500],
            parameter="statusFilter",
            value=given[:200],
        ) from None
