"""What the daemon writes down, and its picture of it in memory: the two never part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from weakref import WeakValueDictionary

from draas.decide.assign import shard_of
from draas.model.audit import AuditEntry
from draas.model.clock import Clock
from draas.model.reconciliation import Memory, Operation, Phase
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.store import LeaseLostError, ReconciliationStore, StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit

TROUBLE_SECONDS = 30.0
"""So long after a write that failed the store counts as failing: what failed is tried again."""


class Journal:
    """Open operations, memories and audit over a store; `audit` false leaves the audit out (R-124).

    Every write may raise StoreError; then it may be made again. `held` tells the fence under which
    an instance is held now, and raises LeaseLostError where it is not.
    """

    def __init__(
        self,
        store: ReconciliationStore,
        fleet: Fleet,
        held: Callable[[str], int],
        clock: Clock,
        *,
        audit: bool,
    ) -> None:
        self._held = held
        self._clock = clock
        self._store = store
        self._fleet = fleet
        self._audit = audit
        self.open: dict[str, Operation] = {}
        self._untold: dict[str, tuple[AuditEntry, ...]] = {}
        self._passes: dict[str, int] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._failure = ""
        self._failed_at = float("-inf")

    @property
    def trouble(self) -> str:
        """Why the store could not be used lately; empty if it could."""
        lately = self._clock.monotonic() - self._failed_at < TROUBLE_SECONDS
        return self._failure if lately else ""

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except LeaseLostError:
            raise
        except StoreError as error:
            self._failure, self._failed_at = str(error), self._clock.monotonic()
            raise

    @contextmanager
    def pass_over(self, instance_id: str) -> Iterator[None]:
        """Hold everything that is done of the instance meanwhile to the fence of now.

        A shard may go and come back while somebody waits for an answer; what others did to the
        instance in between is not known to who began before.

        Raises:
            LeaseLostError: it is not held.
        """
        self._passes[instance_id] = self._held(instance_id)
        try:
            yield
        finally:
            del self._passes[instance_id]

    def fence(self, instance_id: str) -> int:
        """The fence under which the instance is worked on.

        Raises:
            LeaseLostError: it is not held, or not any more since the pass over it began.
        """
        now = self._held(instance_id)
        if now != self._passes.get(instance_id, now):
            raise LeaseLostError(f"instance {instance_id!r} was with others meanwhile")
        return now

    def lost(self, instance_id: str) -> bool:
        """Whether work on the instance must not go on."""
        try:
            self.fence(instance_id)
        except LeaseLostError:
            return True
        return False

    async def take_over(self, fences: Mapping[int, int]) -> None:
        """Read what earlier holders of some shards left, and keep them from writing."""
        with self._noting_failure():
            left = await self._store.take_over(fences)
        for instance_id in self.open.keys() | self._fleet.memories.keys():
            if shard_of(instance_id) in fences:
                self.drop(instance_id)
        for memory in left.memories:
            self._fleet.remember(memory)
        self.open |= {operation.instance_id: operation for operation in left.operations}

    def drop(self, instance_id: str) -> None:
        """Know nothing of an instance that others work on now."""
        operation = self.open.pop(instance_id, None)
        if operation is not None:
            self._untold.pop(operation.id, None)
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
        self.fence(operation.instance_id)
        told = (*self._untold.get(operation.id, ()), *self._audited(entries))
        self._untold[operation.id] = told
        self.open[operation.instance_id] = operation
        try:
            with self._noting_failure():
                await self._store.save_operation(operation, *told)
        except LeaseLostError:
            self._untold.pop(operation.id, None)
            if self.open.get(operation.instance_id) is operation:
                self.drop(operation.instance_id)
            raise
        except StoreError as error:
            if operation.phase is Phase.CHECKING:
                raise
            emit(messages.STORE_ERROR, reason=error)
        else:
            self._untold.pop(operation.id, None)

    def note(self, operation: Operation) -> None:
        """Know, in memory alone, what was seen of an operation: a crash costs a look.

        What others hold by now is theirs to know.
        """
        if not self.lost(operation.instance_id):
            self.open[operation.instance_id] = operation

    def owes(self, operation: Operation) -> bool:
        """Whether the store has yet to keep the operation as it stands."""
        return operation.id in self._untold

    def begun(self, instance_id: str) -> Operation | None:
        """The operation under way, once the store has kept that it begins."""
        operation = self.open.get(instance_id)
        if operation is None or (operation.phase is Phase.CHECKING and self.owes(operation)):
            return None
        return operation

    async def finish(
        self, operation: Operation, end: Callable[[Memory], tuple[Memory, AuditEntry]]
    ) -> Memory:
        """Close an operation: with what is remembered then, and what is told of it."""
        async with self._turn(operation.instance_id):
            memory, entry = end(self._fleet.memory(operation.instance_id))
            told = (*self._untold.get(operation.id, ()), *self._audited((entry,)))
            with self._noting_failure():
                await self._store.finish(operation, memory, *told)
            self._untold.pop(operation.id, None)
            self.open.pop(operation.instance_id, None)
            self._fleet.remember(memory)
        return memory

    async def remember(
        self, instance_id: str, change: Callable[[Memory], Memory], *entries: AuditEntry
    ) -> None:
        """Change what is remembered, in its turn: a pass and a person may do so at once."""
        async with self._turn(instance_id):
            fence = self.fence(instance_id)
            memory = change(self._fleet.memory(instance_id))
            with self._noting_failure():
                await self._store.remember(memory, *self._audited(entries), fence=fence)
            self._fleet.remember(memory)

    async def forget(self, instance_id: str, entry: AuditEntry) -> None:
        """Drop what is kept of an instance that is gone; one never heard of is not audited."""
        known = (self._fleet.states, self._fleet.memories, self.open)
        if any(instance_id in each for each in known):
            fence = self.fence(instance_id)
            with self._noting_failure():
                await self._store.forget(instance_id, *self._audited((entry,)), fence=fence)
        self.open.pop(instance_id, None)
        self._fleet.drop(instance_id)

    def _turn(self, instance_id: str) -> asyncio.Lock:
        return self._turns.setdefault(instance_id, asyncio.Lock())

    def _audited(self, entries: tuple[AuditEntry, ...]) -> tuple[AuditEntry, ...]:
        return entries if self._audit else ()
