"""A control plane as a simulated daemon reaches it, over a line that fails, and who watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from draas.client.port import Capabilities, ControlPlane, Desired, FleetStates, Order
from draas.contract.feed import Changes
from draas.model.configuration import digest
from draas.model.instance import InstanceState
from draas.testing.network import Line
from draas.testing.processes import Process
from draas.testing.remote_slots import RemoteSlots
from draas.testing.witness import LifecycleCall, Witness


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
        await self._called(
            call, lambda: self._there.start(instance_id, document, order, within), within
        )

    async def stop(self, instance_id: str, order: Order, within: float) -> bool:
        """See the port."""
        call = LifecycleCall("stop", instance_id, order)
        return await self._called(
            call, lambda: self._there.stop(instance_id, order, within), within
        )

    async def apply(
        self, instance_id: str, document: Mapping[str, Any], order: Order, within: float
    ) -> None:
        """See the port."""
        call = LifecycleCall("apply", instance_id, order, digest(document))
        await self._called(
            call, lambda: self._there.apply(instance_id, document, order, within), within
        )
