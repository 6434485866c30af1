"""Parameters that several routes take, and the check of those with a closed set of values."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query

from draas.contract.problems import ProblemError

Actor = Annotated[str, Header(alias="Draas-Actor", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is given and is none of those allowed."""
    if value is not None and value not in allowed:
        raise ProblemError(
            "invalid-parameter",
            f"{name} is {value!r}; it is one of {', '.join(allowed)}",
            parameter=name,
            value=value,
        )
