"""Whose an instance is, where several control planes share a store: the one's that runs it.

A process belongs to the host that started it: nobody else can stop it, look at it or adopt it. What
runs nowhere belongs to nobody, unless somebody is at work on it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane.records import Record, slots_of


class ElsewhereError(ProblemError):
    """Another host runs the instance, or is at work on it: to be asked again, and there."""

    def __init__(self, record: Record, host: str) -> None:
        held: Any = record.instance.operation
        super().__init__(
            "instance-busy",
            f"instance {record.instance.id!r} went to host {host} meanwhile; try again",
            operation=None if held is None else msgspec.to_builtins(held),
        )


def owner(record: Record) -> str | None:
    """The host that runs the instance or is at work on it; `None` where that is nobody."""
    for slot in slots_of(record):
        return slot.host_id
    held = record.instance.operation
    return None if held is None else held.host


def require_here(record: Record, host: str | None) -> None:
    """Refuse what only another host can do.

    Raises:
        ElsewhereError: the instance is another host's.
    """
    found = owner(record)
    if found is not None and found != host:
        raise ElsewhereError(record, found)
