"""What becomes of servers that end by themselves, also while a call holds their instance."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.ports import Exit
from draas.control_plane.records import Cause, Record, put, stamp
from draas.control_plane.status import transition
from draas.control_plane.transitions import exited
from draas.model.clock import Clock


class Exits:
    """Records exits; one that comes during a call is kept until the call is over.

    `operated` is told of a crash.
    """

    def __init__(
        self, fleet: Fleet, finisher: Finisher, clock: Clock, operated: Callable[[str, str], None]
    ) -> None:
        self._fleet = fleet
        self._finisher = finisher
        self._clock = clock
        self._operated = operated
        self._kept: dict[str, dict[int, Exit]] = {}

    def came(self, exit: Exit) -> None:
        """A slot ended by itself."""
        if exit.instance_id not in self._fleet:
            return
        record = self._fleet.get(exit.instance_id)
        if not self._fleet.is_here(record):
            return
        if record.instance.operation is not None:
            self._kept.setdefault(exit.instance_id, {})[exit.process_id] = exit
            return
        self._record(exit)

    def freed(self, instance_id: str) -> None:
        """No call holds the instance any more: what ended meanwhile counts now."""
        for exit in self._kept.pop(instance_id, {}).values():
            self.came(exit)

    def _record(self, exit: Exit) -> None:
        cause = Cause(stamp(self._clock.now()), source="Platform")
        how = (
            "; only the control plane that started it could know its exit code"
            if exit.exit_code is None
            else f" with exit code {exit.exit_code}"
        )
        reason = f"crash: the server ended{how}"

        def decide(record: Record | None) -> Transition:
            spare = record.spare if record else None
            if record is not None and spare is not None and spare.process_id == exit.process_id:
                gone = msgspec.structs.replace(spare, process_id=None, process_started=None)
                return transition(record, put(record, spare=gone), cause)
            return exited(record, exit.process_id, reason, cause)

        record = self._fleet.get(exit.instance_id)
        if exit.process_id in (slot.process_id for slot in (record.slot, record.spare) if slot):
            self._operated("crash", "failure")
            self._finisher.spawn(self._finisher.settled(exit.instance_id, decide))
