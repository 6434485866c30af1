"""What the daemon keeps: open operations, its memory of instances, the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries: newest first, `before` a sequence (exclusive), at most `limit`."""

    instance_id: str | None = None
    outcome: str | None = None
    operation_id: str | None = None
    since: str | None = None
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


class ReconciliationStore(Protocol):
    """Durable and atomic by call. Every call may raise `StoreError` and be repeated then."""

    async def memories(self) -> dict[str, Memory]:
        """All that is remembered, by instance."""
        ...

    async def open_operations(self) -> dict[str, Operation]:
        """The operations that a crash left unfinished, by instance; at most one each."""
        ...

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        """Keep an open operation as it stands, with audit entries, in one transaction."""
        ...

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        """Close the operation, keep what is remembered of it and its audit, in one transaction."""
        ...

    async def remember(self, memory: Memory, *entries: AuditEntry) -> None:
        """Keep a memory with audit entries, in one transaction."""
        ...

    async def forget(self, instance_id: str, *entries: AuditEntry) -> None:
        """Drop memory and operation of an instance that is gone; its audit stays (B-19)."""
        ...

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """The entries that the query asks for."""
        ...

    async def verify_audit(self) -> AuditVerdict:
        """Follow the chain from the oldest kept entry to the head that was kept apart."""
        ...

    async def expire_audit(self, before: datetime) -> int:
        """Drop older entries, oldest first, and move the anchor of the chain; how many."""
        ...

    async def close(self) -> None:
        """Let go of the files."""
        ...
