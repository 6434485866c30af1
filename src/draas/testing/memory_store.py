"""The daemon's store in memory, held to account by the same contract suite as the SQL one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from draas.decide.assign import shard_of
from draas.model.audit import GENESIS, AuditEntry, broken_at, chained, told_once
from draas.model.clock import timestamp
from draas.model.reconciliation import Memory, Operation
from draas.reconciliation.store import (
    AuditQuery,
    AuditVerdict,
    Inheritance,
    LeaseLostError,
    OperationEvent,
    StoreError,
    event_of,
)


class MemoryReconciliationStore:
    """`draas.reconciliation.store.ReconciliationStore`; it outlives the daemons that use it.

    While `broken` every call raises StoreError and keeps nothing.
    """

    def __init__(self) -> None:
        self.broken = False
        self._memories: dict[str, Memory] = {}
        self._operations: dict[str, Operation] = {}
        self._audit: list[AuditEntry] = []
        self._anchor = self._head = GENESIS
        self._sequence = 0
        self._fences: dict[int, int] = {}
        self._events: list[OperationEvent] = []

    async def take_over(self, fences: Mapping[int, int]) -> Inheritance:
        """See the port."""
        self._available()
        for shard, fence in fences.items():
            self._refuse_older(shard, fence)
        self._fences |= fences
        return Inheritance(
            tuple(each for key, each in self._memories.items() if shard_of(key) in fences),
            tuple(each for key, each in self._operations.items() if shard_of(key) in fences),
        )

    async def memories(self) -> dict[str, Memory]:
        """All that is remembered, by instance; for who looks at a world from outside."""
        return dict(self._memories)

    async def open_operations(self) -> dict[str, Operation]:
        """All operations that are not finished, by instance; likewise."""
        return dict(self._operations)

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        """See the port."""
        self._fenced(operation.instance_id, operation.fence)
        self._append(entries)
        self._events.append(event_of(operation))
        self._operations[operation.instance_id] = operation

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        """See the port."""
        self._fenced(operation.instance_id, operation.fence)
        self._append(entries)
        self._events.append(event_of(operation))
        self._operations.pop(operation.instance_id, None)
        self._memories[memory.instance_id] = memory

    async def remember(self, memory: Memory, *entries: AuditEntry, fence: int) -> None:
        """See the port."""
        self._fenced(memory.instance_id, fence)
        self._append(entries)
        self._memories[memory.instance_id] = memory

    async def forget(self, instance_id: str, *entries: AuditEntry, fence: int) -> None:
        """See the port."""
        self._fenced(instance_id, fence)
        self._append(entries)
        self._operations.pop(instance_id, None)
        self._memories.pop(instance_id, None)

    async def operation_events(self, operation_id: str) -> list[OperationEvent]:
        """See the port."""
        self._available()
        return [each for each in self._events if each.operation_id == operation_id]

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """See the port."""
        self._available()
        found = [entry for entry in reversed(self._audit) if _matches(entry, query)]
        return found[: query.limit]

    async def verify_audit(self) -> AuditVerdict:
        """See the port."""
        self._available()
        broken = broken_at(map(asdict, self._audit), self._anchor)
        return AuditVerdict(broken is None, len(self._audit), broken)

    async def expire_audit(self, before: datetime) -> int:
        """See the port."""
        self._available()
        old = [entry for entry in self._audit if entry.timestamp < timestamp(before)]
        if old:
            self._anchor = old[-1].hash
            self._audit = self._audit[len(old) :]
        self._events = [each for each in self._events if each.at >= timestamp(before)]
        return len(old)

    async def close(self) -> None:
        """Keeps everything, for the next daemon."""

    def _append(self, entries: tuple[AuditEntry, ...]) -> None:
        self._available()
        for entry in entries:
            if self._has_told(entry):
                continue
            self._sequence += 1
            placed = chained(entry, self._sequence, self._head)
            self._head = placed.hash
            self._audit.append(placed)

    def _fenced(self, instance_id: str, fence: int) -> None:
        self._available()
        self._refuse_older(shard_of(instance_id), fence)

    def _refuse_older(self, shard: int, fence: int) -> None:
        if fence < self._fences.get(shard, 0):
            raise LeaseLostError(f"shard {shard} was taken over: fence {fence} is old")

    def _has_told(self, entry: AuditEntry) -> bool:
        same = told_once(entry.outcome)
        told = (each for each in self._audit if each.operation_id == entry.operation_id)
        return entry.operation_id is not None and any(each.outcome in same for each in told)

    def _available(self) -> None:
        if self.broken:
            raise StoreError("the store is broken on purpose")


def _matches(entry: AuditEntry, query: AuditQuery) -> bool:
    return (
        query.instance_id in (None, entry.instance_id)
        and query.outcome in (None, entry.outcome)
        and query.operation_id in (None, entry.operation_id)
        and (query.since is None or entry.timestamp >= query.since)
        and (query.until is None or entry.timestamp < query.until)
        and (query.before is None or entry.sequence < query.before)
    )
