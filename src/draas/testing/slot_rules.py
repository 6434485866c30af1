"""What must hold of the two slots of an instance in a simulated world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from draas.model.configuration import digest
from draas.model.operation import Operation, Phase, Wish
from draas.model.reconciliation import Memory
from draas.model.slots import CANDIDATE
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.witness import LifecycleCall

TWO_LEAD = "two slots lead"
NOBODY_LEADS = "runs and takes no changes"
UNREACHED = "runs and gets no traffic"
ORPHANED = "a second slot belongs to nobody"
SNEAKED = "what is held in quarantine gets traffic"
PASSED = "what nobody could judge has passed"
BLIND = "what is bad has passed"
STOPPED = "a strategy by two slots stopped what served"
UNREADY = "a candidate that is not ready gets traffic"
ASTRAY = "traffic is sent to a slot that is not there"
SOMEBODYS = "a slot was removed that an operation needs"
PHASES = {
    "open": (Phase.OPENING,),
    "weigh": (Phase.SHIFTING, Phase.TAKING_BACK),
    "switch": (Phase.SWITCHING, Phase.TAKING_BACK),
    "close": (Phase.OPENING, Phase.CLOSING, Phase.CLOSING_CANDIDATE),
}
"""The phases that make calls on slots."""
FORWARD = {
    Phase.PROVING: (Phase.TESTING, Phase.SHIFTING, Phase.SWITCHING),
    Phase.ANALYSING: (Phase.SHIFTING, Phase.SWITCHING),
}
"""The phases that follow once a candidate has passed."""
NEVER_READY = ("failing", "sick", "obscure")
SHOWN = ("erring", "slow")
"""What traffic shows beside one that is not like that."""


@dataclass
class SlotRules:
    """Told of what happens; calls `broken` with the rule that does not hold and where.

    A candidate that was judged had at least `samples` requests; `kinds` says of a digest what the
    configuration is like.
    """

    plane: SimulatedControlPlane
    kinds: Callable[[str], str | None]
    samples: int
    broken: Callable[[str, str], None]
    _counted: dict[tuple[str, int, int], int] = field(default_factory=dict)
    _promoted: set[str] = field(default_factory=set)

    def stepped(self, instance_id: str) -> None:
        """Something was done to the slots of an instance."""
        mine = self.plane.slotted.get(instance_id)
        server = self.plane.servers.get(instance_id)
        if mine is None or server is None:
            return
        leaders = mine.leaders()
        if len(leaders) > 1:
            self.broken(TWO_LEAD, f"{' and '.join(leaders)} of {instance_id}")
        spare = mine.spare
        if spare is None or spare.role != CANDIDATE or not mine.flow.weights.get(spare.name):
            return
        if not spare.up or self.kinds(digest(spare.document)) in NEVER_READY:
            self.broken(UNREADY, f"{spare.name} of {instance_id}")

    def lasting(self, instance_id: str, operation: Operation | None) -> dict[str, bool]:
        """What may hold of a running instance for a moment, and not for long."""
        server = self.plane.servers[instance_id]
        mine = self.plane.slotted.get(instance_id)
        if mine is None or server.running is None or server.operation is not None:
            return dict.fromkeys((NOBODY_LEADS, UNREACHED, ASTRAY, ORPHANED), False)
        there = {mine.serving, mine.spare.name if mine.spare else ""}
        reached = sum(
            weight for name, weight in mine.flow.weights.items() if mine.runs(name, served=True)
        )
        return {
            NOBODY_LEADS: not mine.leaders(),
            UNREACHED: reached == 0,
            ASTRAY: any(weight and name not in there for name, weight in mine.flow.weights.items()),
            ORPHANED: mine.spare is not None and operation is None,
        }

    def called(self, call: LifecycleCall, memory: Memory | None) -> None:
        """A call on slots begins, of what is remembered so."""
        mine = self.plane.slotted.get(call.instance_id)
        spare = mine.spare if mine else None
        if spare is None or spare.role != CANDIDATE or not call.shares.get(spare.name):
            return
        candidate = digest(spare.document)
        if memory and memory.quarantine_of(candidate) is not None:
            self.broken(SNEAKED, f"{call.kind} of {call.instance_id}")
        if not spare.up or self.kinds(candidate) in NEVER_READY:
            self.broken(UNREADY, f"{call.kind} of {call.instance_id}")

    def remembered(self, memory: Memory) -> None:
        """A memory was stored, perhaps with what a person asked for."""
        if memory.hand is not None and memory.hand.wish is Wish.PROMOTE:
            self._promoted.add(memory.hand.operation_id)

    def saved(self, before: Operation | None, operation: Operation) -> None:
        """An operation was stored; `before` is what was stored of it last."""
        if operation.phase is Phase.ANALYSING:
            key = (operation.id, operation.round, operation.step)
            self._counted.setdefault(key, self._requests(operation))
        if before is None or before.id != operation.id or before.round != operation.round:
            return
        if operation.phase not in FORWARD.get(before.phase, ()) or operation.id in self._promoted:
            return
        about = f"{operation.instance_id} after {before.phase.value} {before.step}"
        kind = self.kinds(operation.target_digest)
        if kind == "obscure":
            self.broken(PASSED, about)
        if before.phase is not Phase.ANALYSING:
            return
        began = self._counted.get((before.id, before.round, before.step), 0)
        if self._requests(operation) - began < self.samples:
            self.broken(PASSED, f"{about} with {self._requests(operation) - began} requests")
        serving = self.plane.servers[operation.instance_id].running
        same = serving is not None and self.kinds(digest(serving)) == kind
        if kind in SHOWN and not same:
            self.broken(BLIND, f"{about}: {kind}")

    def _requests(self, operation: Operation) -> int:
        """How many requests the candidate of an operation has had by now."""
        mine = self.plane.slotted.get(operation.instance_id)
        if mine is None:
            return 0
        self.plane.count(operation.instance_id)
        found = mine.flow.counters().get(operation.slot)
        return found.requests if found else 0
