"""Who watches over a simulated world: told of each call that changes something, and all writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from draas.client.port import Order
from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Operation
from draas.testing.processes import Process


class Witness(Protocol):
    """Who is told of each lifecycle call as its daemon makes it, and of all that is stored."""

    def called(self, caller: Process, call: LifecycleCall) -> None:
        """A call begins."""
        ...

    def over(self, caller: Process, call: LifecycleCall) -> None:
        """The caller has an answer, or has given up."""
        ...

    def took_over(self, caller: Process, fences: Mapping[int, int]) -> None:
        """The store has raised the fences of some shards."""
        ...

    def wrote(self, caller: Process, instance_id: str, fence: int) -> None:
        """The store has kept something under a fence."""
        ...

    def saved(self, caller: Process, operation: Operation, *entries: AuditEntry) -> None:
        """The store has kept an open operation."""
        ...

    def finished(self, operation: Operation) -> None:
        """The store has closed an operation."""
        ...

    def remembered(self, memory: Memory) -> None:
        """The store has kept a memory."""
        ...

    def forgotten(self, instance_id: str) -> None:
        """The store has dropped what it knew of an instance."""
        ...


class LifecycleCall:
    """One call that changes what runs of an instance; equal only to itself.

    `digest` is what it starts or opens, `shares` is the traffic that slots are to get by it.
    """

    def __init__(
        self,
        kind: str,
        instance_id: str,
        order: Order,
        wanted: str = "",
        shares: Mapping[str, int] | None = None,
    ) -> None:
        self.kind = kind
        self.shares = shares or {}
        self.instance_id = instance_id
        self.operation_id = order.operation_id
        self.fence = order.fence
        self.digest = wanted

    def __str__(self) -> str:
        what = self.digest[7:13] or ", ".join(f"{name} {n}" for name, n in self.shares.items())
        return f"calls {self.kind} {self.instance_id} {what} for {self.operation_id}"
