"""The daemon's picture of the fleet: a few hundred bytes an instance, no configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import msgspec

from draas.decide.detect import detect
from draas.model.instance import InstanceState, compact
from draas.model.reconciliation import Drift, DriftKind, FleetView, Memory, Plan
from draas.model.status import InstanceStatus
from draas.reconciliation.groups import Groups
from draas.reconciliation.rollouts import Changed


class Fleet:
    """The latest known state of every instance and what was last decided about it.

    Kept current by the change feed and the resync; only those that need somebody are worked on, so
    that a quiet fleet costs nothing, however large.
    """

    def __init__(self, group_by: str = "") -> None:
        self.groups = Groups(group_by)
        self.states: dict[str, InstanceState] = {}
        self.unreadable: dict[str, str] = {}
        """Those whose state made no sense in the latest list: Unknown, not gone, not in order."""
        self.plans: dict[str, Plan] = {}
        self.memories: dict[str, Memory] = {}
        self.deleted: set[str] = set()
        """Ids that were deleted, until what is remembered of them is dropped."""
        self.changed = Changed()
        self._drifting: dict[str, Drift] = {}
        self._changing: set[str] = set()
        self._failing: set[str] = set()

    def put(self, state: InstanceState) -> bool:
        """Take a newer state; whether somebody should look at the instance."""
        state = compact(with_memory(state, self.memories.get(state.id)))
        state = self.groups.put(state, instead_of=self.states.get(state.id))
        self.unreadable.pop(state.id, None)
        self.states[state.id] = state
        drift = detect(state)
        if drift:
            self._drifting[state.id] = drift
        else:
            self._drifting.pop(state.id, None)
        self._count(state.id)
        unsure = state.status == InstanceStatus.RUNNING and state.applied_digest is None
        pending = state.id in self.plans or self.is_another(state) or state.second_slot is not None
        return bool(drift) or bool(drift.unknown) or unsure or pending

    def is_another(self, state: InstanceState) -> bool:
        """Whether the id was deleted and given again: what is remembered is not about it (B-19).

        A generation before one that was worked on says so, unless a newer one was told: then it is
        an old answer.
        """
        if state.id in self.deleted:
            return True
        memory, told = self.memories.get(state.id), self.states.get(state.id, state)
        newest = max(state.generation, told.generation)
        return memory is not None and newest < memory.worked_generation

    def missing_from(self, present: Iterable[str]) -> set[str]:
        """The known instances, also those of earlier daemons, that a complete list lacks."""
        known = self.states.keys() | self.memories.keys()
        return known - set(present)

    def drop(self, instance_id: str) -> None:
        """Forget an instance that is gone (B-19)."""
        self.groups.forget(self.states.get(instance_id))
        for kept in (self.states, self.unreadable, self.plans, self._drifting, self.memories):
            kept.pop(instance_id, None)
        self.deleted.discard(instance_id)
        self._failing.discard(instance_id)
        self._changing.discard(instance_id)
        self.changed.forget(instance_id)

    def disown(self, instance_id: str) -> None:
        """Others work on the instance: what it is stays known, what was made of it does not."""
        self.plans.pop(instance_id, None)
        self.memories.pop(instance_id, None)
        self.changed.forget(instance_id)
        self._count(instance_id)

    def remember(self, memory: Memory) -> None:
        """Take a newer memory."""
        self.memories[memory.instance_id] = memory
        self.changed.remember(memory)
        self._count(memory.instance_id)

    def memory(self, instance_id: str) -> Memory:
        """What is remembered of the instance, or a blank memory."""
        return self.memories.get(instance_id) or Memory(instance_id=instance_id)

    def drift(self, instance_id: str) -> Drift:
        """The drift by the latest state."""
        if instance_id in self.unreadable:
            return Drift(unknown=self.unreadable[instance_id])
        state = self.states.get(instance_id)
        return detect(state) if state else Drift(unknown="not seen yet")

    def drifting(self, owns: Callable[[str], bool]) -> dict[str, int]:
        """How many of the instances that `owns` names drift in which way."""
        counts = {kind.value: 0 for kind in DriftKind}
        for instance_id, drift in self._drifting.items():
            if owns(instance_id):
                for kind in drift.kinds:
                    counts[kind.value] += 1
        return counts

    def group(self, instance_id: str) -> str:
        """The group that an instance belongs to in roll-outs."""
        return self.groups.of(self.states.get(instance_id))

    def drifting_with(self, others: AbstractSet[str] = frozenset()) -> int:
        """How many instances drift in any way, or are among the others."""
        return len(self._drifting.keys() | others)

    def view(self) -> FleetView:
        """The counts that the breaker decides on: what runs and would be changed, what fails."""
        return FleetView(len(self.states), len(self._changing), len(self._failing))

    def _count(self, instance_id: str) -> None:
        """Keep count of the running instances that a reconciliation would change, and of failures.

        A new desired configuration is not failing yet: it may be the remedy.
        """
        drift, state = self._drifting.get(instance_id), self.states.get(instance_id)
        changes = drift is not None and DriftKind.CONFIGURATION in drift.kinds
        fails, memory = False, self.memories.get(instance_id)
        if memory is not None and state is not None:
            is_held = memory.quarantine_of(state.desired_digest) is not None
            changes = changes and not is_held
            is_its_latest = state.desired_digest == memory.worked_digest
            fails = memory.failures > 0 and (is_held or is_its_latest)
        if fails:
            self._failing.add(instance_id)
        else:
            self._failing.discard(instance_id)
        if changes:
            self._changing.add(instance_id)
        else:
            self._changing.discard(instance_id)


def with_memory(state: InstanceState, memory: Memory | None) -> InstanceState:
    """The state with what a foreign control plane does not keep filled in from memory (D-10)."""
    if memory is None or memory.applied_digest is None or state.applied_digest is not None:
        return state
    if state.status != InstanceStatus.RUNNING:
        if not memory.stopped_by_us:
            return state
        return _replaced(state, desired_run_state="Running")
    return _replaced(state, applied_digest=memory.applied_digest)


def _replaced(state: InstanceState, **changes: str) -> InstanceState:
    return msgspec.structs.replace(state, **changes)
