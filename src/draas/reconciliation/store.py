"""What the daemon keeps: open operations, its memory of instances, the audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from draas.model.audit import AuditEntry
from draas.model.clock import timestamp
from draas.model.reconciliation import Memory, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries: newest first, at most `limit`, `before` a sequence (exclusive).

    From the time `since` on, and before the time `until`.
    """

    instance_id: str | None = None
    outcome: str | None = None
    operation_id: str | None = None
    since: str | None = None
    until: str | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """Whether the chain holds from the oldest kept entry to the newest."""

    intact: bool
    checked: int
    broken_at: int | None = None
    reason: str = ""


class StoreError(Exception):
    """The store cannot be read or written now.

    All of the call was kept or nothing: a connection may be lost after a transaction was committed.
    The same call may be made again; an operation is told to begin once, and to end once.
    """


class LeaseLostError(StoreError):
    """Somebody else took the instance over: whoever gets this must let go of it."""


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What earlier holders of some shards left: what is remembered, what is unfinished."""

    memories: tuple[Memory, ...] = ()
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEvent:
    """One step of an operation, for people to read."""

    at: str
    operation_id: str
    instance_id: str
    strategy: str
    phase: str
    attempt: int
    fence: int
    outcome: str = ""
    error: str = ""


def event_of(operation: Operation) -> OperationEvent:
    """The step at which an operation stands."""
    return OperationEvent(
        at=timestamp(operation.phase_since),
        operation_id=operation.id,
        instance_id=operation.instance_id,
        strategy=operation.strategy,
        phase=operation.phase.value,
        attempt=operation.attempt,
        fence=operation.fence,
        outcome=operation.outcome.value if operation.outcome else "",
        error=operation.error,
    )


class ReconciliationStore(Protocol):
    """Durable and atomic by call. Every call may raise `StoreError` and be repeated then.

    A write for an instance names the fence under which its shard is held; once a higher one has
    been seen there, it raises `LeaseLostError` and keeps nothing.
    """

    async def take_over(self, fences: Mapping[int, int]) -> Inheritance:
        """Raise the fences of some shards, and read what was left there; one open operation each.

        Raises:
            LeaseLostError: a higher fence has been seen for one of them; none was raised.
        """
        ...

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        """Keep an open operation as it stands, with its event and audit, in one transaction."""
        ...

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        """Close the operation, keep what is remembered of it and its audit, in one transaction."""
        ...

    async def remember(self, memory: Memory, *entries: AuditEntry, fence: int) -> None:
        """Keep a memory with audit entries, in one transaction."""
        ...

    async def forget(self, instance_id: str, *entries: AuditEntry, fence: int) -> None:
        """Drop memory and operation of an instance that is gone; its audit stays (B-19)."""
        ...

    async def operation_events(self, operation_id: str) -> list[OperationEvent]:
        """The steps of an operation, oldest first; those that are kept."""
        ...

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """The entries that the query asks for."""
        ...

    async def verify_audit(self) -> AuditVerdict:
        """Follow the chain from the oldest kept entry to the head that was kept apart."""
        ...

    async def expire_audit(self, before: datetime) -> int:
        """Drop older entries and events, oldest first, and move the chain's anchor; how many."""
        ...

    async def close(self) -> None:
        """Let go of the files."""
        ...
