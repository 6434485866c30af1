"""Parts of a world that are defective on purpose: the simulation has to find them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import msgspec

from draas.model.audit import AuditEntry
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import Budget, Memory, Operation, Phase, Trigger
from draas.model.slots import Slot
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.journal import Journal
from draas.reconciliation.leases import Leases
from draas.reconciliation.options import DaemonSettings
from draas.reconciliation.places import Places
from draas.reconciliation.store import ReconciliationStore
from draas.reconciliation.workqueue import WorkQueue
from draas.testing.memory_store import MemoryReconciliationStore
from draas.testing.simulated_calls import Call
from draas.testing.simulated_control_plane import LIFECYCLE, SimulatedControlPlane
from draas.testing.simulated_slotted import Slotted, Spare


class _HastyJournal(Journal):
    """Keeps the phases of an operation to itself until it is over."""

    async def save(self, operation: Operation, *entries: AuditEntry) -> None:
        if operation.phase is Phase.CHECKING:
            await super().save(operation, *entries)
        self.open[operation.instance_id] = operation


class HastyDaemon(Daemon):
    """Acts on a phase that it has not stored."""

    def __init__(
        self, settings: DaemonSettings, store: ReconciliationStore, leases: Leases, clock: Clock
    ) -> None:
        super().__init__(settings, store, leases, clock)
        self.journal = _HastyJournal(store, self.fleet, self.shards.fence, self.clock, audit=True)


class ForgetfulStore(MemoryReconciliationStore):
    """Loses the end of every story."""

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        await super().finish(operation, memory)


class TrustingControlPlane(SimulatedControlPlane):
    """Obeys whoever calls, also who was taken over."""

    def check_fence(self, call: Call, highest: int) -> None:
        """Lets everybody pass."""


class CarelessRouting(SimulatedControlPlane):
    """Obeys whoever calls for something about slots and traffic, also who was taken over."""

    def check_fence(self, call: Call, highest: int) -> None:
        """Lets all pass but who starts, stops or changes a server."""
        if call.kind in LIFECYCLE:
            super().check_fence(call, highest)


class SilentControlPlane(SimulatedControlPlane):
    """Says nothing of second slots in its states, so that none that is left is ever cleared."""

    def _state(self, instance_id: str) -> InstanceState:
        return msgspec.structs.replace(super()._state(instance_id), second_slot=None)


class TrustingStore(MemoryReconciliationStore):
    """Keeps what whoever writes, also who was taken over."""

    def _refuse_older(self, shard: int, fence: int) -> None:
        """Lets everybody pass."""


class _TimelessQueue(WorkQueue):
    def add_at(self, key: str, when: datetime, trigger: Trigger = Trigger.RETRY) -> None:
        """Forgets it."""


class TimelessDaemon(Daemon):
    """Never comes back to an instance by itself, only when there is news of it."""

    def __init__(
        self, settings: DaemonSettings, store: ReconciliationStore, leases: Leases, clock: Clock
    ) -> None:
        super().__init__(settings, store, leases, clock)
        self.queue = _TimelessQueue(clock)


class _ClumsyPlaces(Places):
    def budget(self, instance_id: str) -> Budget:
        raise KeyError(instance_id)


class ClumsyDaemon(Daemon):
    """Fails in every pass, and its workers carry on as if nothing were wrong."""

    def __init__(
        self, settings: DaemonSettings, store: ReconciliationStore, leases: Leases, clock: Clock
    ) -> None:
        super().__init__(settings, store, leases, clock)
        self.places = _ClumsyPlaces(1, lambda *_: None)


class CarelessDaemon(Daemon):
    """Judges a canary by its first request, and lets half of them fail."""

    def __init__(
        self, settings: DaemonSettings, store: ReconciliationStore, leases: Leases, clock: Clock
    ) -> None:
        lenient = replace(
            settings.analysis, minimum_samples=1, maximum_error_rate=0.5, alpha=0.2, beta=0.5
        )
        super().__init__(replace(settings, analysis=lenient), store, leases, clock)


class SeallessControlPlane(SimulatedControlPlane):
    """Gives a slot the lead, and takes it from nobody."""

    async def lead(self, instance_id: str, mine: Slotted, name: str, *, served: bool) -> None:
        mine.hosts[name].lead()


class UnprovenControlPlane(SimulatedControlPlane):
    """Says that a candidate is well, whatever it is."""

    def _spare(self, mine: Slotted, spare: Spare) -> Slot:
        return msgspec.structs.replace(super()._spare(mine, spare), health="Healthy", reason="")
