"""A store and its leases as a simulated daemon reaches them, over a line that fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Operation
from draas.reconciliation.leases import Leases, Member, Standing
from draas.reconciliation.store import (
    AuditQuery,
    AuditVerdict,
    Inheritance,
    OperationEvent,
    ReconciliationStore,
)
from draas.testing.network import Line
from draas.testing.processes import Process
from draas.testing.witness import Witness


class RemoteStore:
    """`draas.reconciliation.store.ReconciliationStore` at the other end of a line."""

    def __init__(
        self, caller: Process, line: Line, there: ReconciliationStore, witness: Witness
    ) -> None:
        self._caller = caller
        self._line = line
        self._there = there
        self._witness = witness

    async def take_over(self, fences: Mapping[int, int]) -> Inheritance:
        """See the port."""

        async def there() -> Inheritance:
            left = await self._there.take_over(fences)
            self._witness.took_over(self._caller, fences)
            return left

        return await self._line.call(there)

    async def save_operation(self, operation: Operation, *entries: AuditEntry) -> None:
        """See the port."""

        async def there() -> None:
            await self._there.save_operation(operation, *entries)
            self._witness.wrote(self._caller, operation.instance_id, operation.fence)
            self._witness.saved(self._caller, operation, *entries)

        await self._line.call(there, about=operation.instance_id)

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        """See the port."""

        async def there() -> None:
            await self._there.finish(operation, memory, *entries)
            self._witness.wrote(self._caller, operation.instance_id, operation.fence)
            self._witness.finished(operation)
            self._witness.remembered(memory)

        await self._line.call(there, about=operation.instance_id)

    async def remember(self, memory: Memory, *entries: AuditEntry, fence: int) -> None:
        """See the port."""

        async def there() -> None:
            await self._there.remember(memory, *entries, fence=fence)
            self._witness.wrote(self._caller, memory.instance_id, fence)
            self._witness.remembered(memory)

        await self._line.call(there, about=memory.instance_id)

    async def forget(self, instance_id: str, *entries: AuditEntry, fence: int) -> None:
        """See the port."""

        async def there() -> None:
            await self._there.forget(instance_id, *entries, fence=fence)
            self._witness.wrote(self._caller, instance_id, fence)
            self._witness.forgotten(instance_id)

        await self._line.call(there, about=instance_id)

    async def operation_events(self, operation_id: str) -> list[OperationEvent]:
        """See the port."""
        return await self._line.call(lambda: self._there.operation_events(operation_id))

    async def audit(self, query: AuditQuery) -> list[AuditEntry]:
        """See the port."""
        return await self._line.call(lambda: self._there.audit(query))

    async def verify_audit(self) -> AuditVerdict:
        """See the port."""
        return await self._line.call(self._there.verify_audit)

    async def expire_audit(self, before: datetime) -> int:
        """See the port."""
        return await self._line.call(lambda: self._there.expire_audit(before))

    async def close(self) -> None:
        """Leaves the line as it is."""


class RemoteLeases:
    """`draas.reconciliation.leases.Leases` at the other end of a line."""

    def __init__(self, line: Line, there: Leases) -> None:
        self.exclusive = there.exclusive
        self._line = line
        self._there = there

    async def beat(self, me: Member, ttl: float) -> Standing:
        """See the port."""
        return await self._line.call(lambda: self._there.beat(me, ttl))

    async def acquire(self, member_id: str, names: Collection[str]) -> dict[str, int]:
        """See the port."""
        return await self._line.call(lambda: self._there.acquire(member_id, names))

    async def release(self, member_id: str, names: Collection[str]) -> None:
        """See the port."""
        await self._line.call(lambda: self._there.release(member_id, names))

    async def leave(self, member_id: str) -> None:
        """See the port."""
        await self._line.call(lambda: self._there.leave(member_id))
