"""What a lifecycle call says when it is done."""

from __future__ import annotations

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane.ports import LaunchError
from draas.control_plane.records import Record, address


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """The contract's `Lifecycle`: what a lifecycle call did."""

    instance_id: str
    action: str
    changed: bool
    status: str
    message: str
    process_id: str | None
    port: int | None


def outcome(record: Record, action: str, changed: bool, said: str) -> Outcome:
    """The outcome of `action` on an instance as it is now; `said` goes on the sentence."""
    slot = record.slot
    return Outcome(
        record.instance.id,
        action,
        changed,
        record.instance.status,
        f"Instance '{record.instance.id}' {said}",
        str(slot.process_id) if slot and slot.process_id else None,
        address(slot)[1] if slot else None,
    )


def start_failed(instance_id: str, error: LaunchError, what: str = "instance") -> ProblemError:
    """The problem of a server that did not come up: of the instance, or `what` else of it."""
    return ProblemError(
        "start-failed",
        f"{what} {instance_id!r} did not start: {error}",
        exitCode=error.exit_code,
        log=list(error.log),
    )
