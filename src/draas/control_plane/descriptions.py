"""What people call an instance: changed at any time, and nothing of what runs with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.picture import absent
from draas.control_plane.records import Cause, Record, put
from draas.control_plane.status import transition
from draas.model.instance import Instance


class Description(NamedTuple):
    """All that people say of an instance besides its configuration."""

    name: str
    description: str
    labels: dict[str, str]
    metadata: dict[str, str]


async def describe(
    fleet: Fleet, instance_id: str, change: Callable[[Instance], Description], cause: Cause
) -> Record:
    """Let `change` say what an instance is called from now on; without a difference no event.

    Raises:
        ProblemError: there is no such instance, or what `change` raises.
    """

    def decide(record: Record | None) -> Transition:
        if record is None:
            raise absent(instance_id)
        return transition(record, put(record, **change(record.instance)._asdict()), cause)

    return await fleet.change(instance_id, decide) or fleet.get(instance_id)
