"""Changes that are only made to what the client has seen (RFC 9110, 13.1.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from draas.contract.problems import ProblemError
from draas.model.instance import Instance

Precondition = Callable[[Instance], None]
"""Refuses a change of the instance as it is now, with a `ProblemError` of precondition-failed."""


def unconditional(_: Instance) -> None:
    """No condition."""


def require(if_match: str | None, present: Iterable[str], what: str, **members: Any) -> None:
    """Refuse a change whose `If-Match` names none of the tags that `what` has at present.

    Raises:
        ProblemError: precondition-failed, with `members`.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if not set(present) & {tag.strip() for tag in if_match.split(",")}:
        raise ProblemError(
            "precondition-failed",
            f"If-Match {if_match[:100]!r} is not {what}; read it again and decide anew",
            **members,
        )
