"""What the daemon writes down, and its picture of it in memory: the two never part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Operation, Phase
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.store import LeaseLostError, ReconciliationStore, StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit


class Journal:
    """Open operations, memories and audit over a store; `audit` false leaves the audit out (R-124).

    Every write may raise StoreError; then it may be made again. `fence` is the one under which an
    instance is held now; it raises LeaseLostError where it is not.
    """

    def __init__(
        self,
        store: ReconciliationStore,
        fleet: Fleet,
        fence: Callable[[str], int],
        *,
        audit: bool,
    ) -> None:
        self.fence = fence
        self._store = store
        self._fleet = fleet
        self._audit = audit
        self.open: dict[str, Operation] = {}
        self._untold: dict[str, tuple[AuditEntry, ...]] = {}

    async def take_over(self, fences: Mapping[int, int]) -> None:
        """Read what earlier holders of some shards left, and keep them from writing."""
        left = await self._store.take_over(fences)
        for memory in left.memories:
            self._fleet.remember(memory)
        self.open |= {operation.instance_id: operation for operation in left.operations}

    def drop(self, instance_id: str) -> None:
        """Know nothing of an instance that others work on now."""
        self.open.pop(instance_id, None)
        self._fleet.disown(instance_id)

    def memory(self, instance_id: str) -> Memory:
        """What is remembered of an instance."""
        return self._fleet.memory(instance_id)

    async def save(self, operation: Operation, *entries: AuditEntry) -> None:
        """Keep an operation as it stands, before it is acted on.

        A store that fails may have kept it: it counts as open, and what was to be told of it is
        told with the next write. Nothing is done before the store has kept that it begins. Once
        something may have been stopped, a store that fails does not end the work: the operation
        goes on from memory, and a crash meanwhile is healed as run-state drift.
        """
        told = (*self._untold.pop(operation.id, ()), *self._audited(entries))
        self.open[operation.instance_id] = operation
        try:
            await self._store.save_operation(operation, *told)
        except StoreError as error:
            if isinstance(error, LeaseLostError):
                raise
            self._untold[operation.id] = told
            if operation.phase is Phase.CHECKING:
                raise
            emit(messages.STORE_ERROR, reason=error)

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        """Close an operation."""
        told = (*self._untold.get(operation.id, ()), *self._audited(entries))
        await self._store.finish(operation, memory, *told)
        self._untold.pop(operation.id, None)
        self.open.pop(operation.instance_id, None)
        self._fleet.remember(memory)

    async def remember(self, memory: Memory, *entries: AuditEntry) -> None:
        """Keep a memory."""
        fence = self.fence(memory.instance_id)
        await self._store.remember(memory, *self._audited(entries), fence=fence)
        self._fleet.remember(memory)

    async def forget(self, instance_id: str, entry: AuditEntry) -> None:
        """Drop what is kept of an instance that is gone; one never heard of is not audited."""
        known = (self._fleet.states, self._fleet.memories, self.open)
        if any(instance_id in each for each in known):
            fence = self.fence(instance_id)
            await self._store.forget(instance_id, *self._audited((entry,)), fence=fence)
        self.open.pop(instance_id, None)
        self._fleet.drop(instance_id)

    def _audited(self, entries: tuple[AuditEntry, ...]) -> tuple[AuditEntry, ...]:
        return entries if self._audit else ()
