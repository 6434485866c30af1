"""Parameters that several routes take, and the check of those with a closed set of values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request

from draas.contract.bodies import object_body, optional_object
from draas.contract.problems import ProblemError
from draas.model.clock import timestamp

Actor = Annotated[str, Header(alias="Draas-Actor", max_length=200)]
GivenObject = Annotated[dict[str, Any] | None, Depends(optional_object)]
NeededObject = Annotated[dict[str, Any], Depends(object_body)]
Limit = Annotated[int, Query(ge=1, le=1000)]


async def require_known_query(request: Request) -> None:
    """Refuse a query parameter that the route does not know: nobody would look at it.

    Raises:
        ProblemError: invalid-parameter, with those that are known.
    """
    known = [each.alias for each in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            told = f"known here are {', '.join(known)}" if known else "none is known here"
            raise ProblemError(
                "invalid-parameter",
                f"{name[:100]!r} is no query parameter of {request.url.path[:200]}; {told}",
                parameter=name[:100],
            )


def moment(name: str, value: str | None) -> str | None:
    """A given time as the audit writes it; without an offset it is UTC."""
    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
        aware = given.replace(tzinfo=given.tzinfo or UTC)
        return timestamp(aware.astimezone(UTC))
    except (ValueError, OverflowError):
        raise ProblemError(
            "invalid-parameter",
            f"{name} is {value!r}; write a time such as 2026-01-31T12:00:00Z",
            parameter=name,
            value=value,
        ) from None


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is given and is none of those allowed."""
    if value is not None and value not in allowed:
        raise ProblemError(
            "invalid-parameter",
            f"{name} is {value!r}; it is one of {', '.join(allowed)}",
            parameter=name,
            value=value,
        )
