"""Names, descriptions, labels and metadata of instances, changed by merge patches (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from draas.contract.bodies import JSON, MERGE_PATCH, body
from draas.contract.problems import ProblemError
from draas.control_plane.api.answers import answer, named_instance
from draas.control_plane.api.requests import cause, control_plane, instance_id, members, text, texts
from draas.control_plane.descriptions import Description, describe
from draas.model.instance import Instance

router = APIRouter(tags=["Instances"])


@router.patch("/api/servers/instances/{id}")
async def patch_instance(request: Request) -> Response:
    """Change name, description, labels or metadata; null removes, what is not named stays."""
    given = members(await body(request, types=(MERGE_PATCH, JSON)))
    for name in given:
        if name not in Description._fields:
            raise ProblemError(
                "malformed-body",
                f"{name[:100]!r} cannot be changed here; {', '.join(Description._fields)} can",
            )
    require = named_instance(request)

    def change(present: Instance) -> Description:
        require(present)
        return merged(present, given)

    record = await describe(
        control_plane(request).fleet,
        instance_id(request),
        change,
        cause(request),
    )
    return answer(request, record.instance)


def merged(present: Instance, given: Mapping[str, Any]) -> Description:
    """What the instance is called after the patch.

    Raises:
        ProblemError: a member has the wrong type, or the name would go (malformed-body).
    """
    after = {"name": present.name, "description": present.description, **given}
    return Description(
        text(after, "name"),
        text(after, "description", ""),
        _merged_texts("labels", present.labels, given),
        _merged_texts("metadata", present.metadata, given),
    )


def _merged_texts(
    name: str, present: Mapping[str, str], given: Mapping[str, Any]
) -> dict[str, str]:
    if name not in given:
        return dict(present)
    change = given[name]
    if isinstance(change, Mapping):
        both = {**present, **change}
        change = {key: value for key, value in both.items() if value is not None}
    return texts({name: change}, name)
