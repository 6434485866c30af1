"""Records of instances and slots for unit tests of the control plane."""

from typing import Any

import msgspec

from draas.control_plane.records import Cause, Record, Slot, put
from draas.model.instance import Instance

CAUSE = Cause("2030-01-01T00:00:00.000000Z", "alice", "op")
SLOT = Slot(
    name="main",
    host="h",
    port=1,
    digest="d1",
    components_digest="c1",
    generation=1,
    at=CAUSE.at,
)


def slot(name: str = "main", **members: Any) -> Slot:
    """A slot in which a process runs, unless its number is given as None."""
    number = members.pop("process_id", 1)
    started = None if number is None else 1.5
    found = {"name": name, "process_id": number, "process_started": started, **members}
    return msgspec.structs.replace(SLOT, **found)


def record(**levels: Any) -> Record:
    """An instance that was created, with these levels."""
    instance = Instance(
        id="a",
        generation=1,
        desired_digest="d1",
        desired_run_state="Stopped",
        status="Created",
        name="n",
        created_at=CAUSE.at,
    )
    return put(Record(instance=instance, port=1), **levels)
