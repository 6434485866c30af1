"""A control plane as a simulated daemon reaches it, over a line that fails, and who watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from draas.client.port import Capabilities, ControlPlane, Desired, FleetStates, Order
from draas.contract.feed import Changes
from draas.model.audit import AuditEntry
from draas.model.configuration import digest
from draas.model.instance import InstanceState
from draas.model.reconciliation import Memory, Operation
from draas.testing.network import Line
from draas.testing.processes import Process
from draas.testing.remote_slots import RemoteSlots


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
    """One call that starts (`digest` says what) or stops an instance; equal only to itself."""

    def __init__(self, kind: str, instance_id: str, order: Order, wanted: str = "") -> None:
        self.kind = kind
        self.instance_id = instance_id
        self.operation_id = order.operation_id
        self.fence = order.fence
        self.digest = wanted

    def __str__(self) -> str:
        return f"calls {self.kind} {self.instance_id} {self.digest[7:13]} for {self.operation_id}"


class RemoteControlPlane(RemoteSlots):
    """`draas.client.port.ControlPlane` at the other end of a line."""

    def __init__(self, caller: Process, line: Line, there: ControlPlane, witness: Witness) -> None:
        self.capabilities: Capabilities = there.capabilities
        self._caller = caller
        self._line = line
        self._there = there
        self._witness = witness

    async def fleet(self, etag: str | None = None) -> FleetStates | None:
        """See the port."""
        return await self._line.call(lambda: self._there.fleet(etag))

    async def changes(self, after: str, wait: float) -> Changes:
        """See the port."""
        return await self._line.call(lambda: self._there.changes(after, wait))

    async def state(self, instance_id: str) -> InstanceState | None:
        """See the port."""
        return await self._line.call(lambda: self._there.state(instance_id), about=instance_id)

    async def desired(self, instance_id: str) -> Desired:
        """See the port."""
        return await self._line.call(lambda: self._there.desired(instance_id), about=instance_id)

    async def last_good(self, instance_id: str) -> Desired | None:
        """See the port."""
        return await self._line.call(lambda: self._there.last_good(instance_id), about=instance_id)

    async def generation(self, instance_id: str, generation: int) -> dict[str, Any] | None:
        """See the port."""
        return await self._line.call(
            lambda: self._there.generation(instance_id, generation), about=instance_id
        )

    async def observed(self, instance_id: str) -> dict[str, Any] | None:
        """See the port."""
        return await self._line.call(lambda: self._there.observed(instance_id), about=instance_id)

    async def start(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """See the port."""
        call = LifecycleCall("start", instance_id, order, digest(document))
        self._witness.called(self._caller, call)
        try:
            await self._line.call(
                lambda: self._there.start(instance_id, document, order, within), within, instance_id
            )
        finally:
            self._witness.over(self._caller, call)

    async def stop(self, instance_id: str, order: Order, within: float) -> bool:
        """See the port."""
        call = LifecycleCall("stop", instance_id, order)
        self._witness.called(self._caller, call)
        try:
            return await self._line.call(
                lambda: self._there.stop(instance_id, order, within), within, instance_id
            )
        finally:
            self._witness.over(self._caller, call)

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """See the port."""
        call = LifecycleCall("apply", instance_id, order, digest(document))
        self._witness.called(self._caller, call)
        try:
            await self._line.call(
                lambda: self._there.apply(instance_id, document, order, within), within, instance_id
            )
        finally:
            self._witness.over(self._caller, call)
