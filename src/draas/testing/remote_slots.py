"""The slots of a control plane as a simulated daemon reaches them: over a line that fails."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from draas.client.port import ControlPlane, Order
from draas.model.configuration import digest
from draas.model.slots import Parity, Slot, SlotPlan, Slots, Traffic
from draas.testing.network import Line
from draas.testing.processes import Process
from draas.testing.witness import LifecycleCall, Witness

T = TypeVar("T")


class RemoteSlots:
    """`draas.client.port.SlotControl` at the other end of a line."""

    _caller: Process
    _line: Line
    _there: ControlPlane
    _witness: Witness

    async def slots(self, instance_id: str) -> Slots:
        """See the port."""
        return await self._line.call(lambda: self._there.slots(instance_id), about=instance_id)

    async def plan_slots(self, instance_id: str, document: Mapping[str, Any]) -> SlotPlan:
        """See the port."""
        return await self._line.call(
            lambda: self._there.plan_slots(instance_id, document), about=instance_id
        )

    async def open_slot(
        self,
        instance_id: str,
        document: Mapping[str, Any],
        order: Order,
        within: float,
        *,
        allow_state_loss: bool,
    ) -> Slot:
        """See the port."""
        call = LifecycleCall("open", instance_id, order, digest(document))
        return await self._called(
            call,
            lambda: self._there.open_slot(
                instance_id, document, order, within, allow_state_loss=allow_state_loss
            ),
            within,
        )

    async def weigh(
        self, instance_id: str, weights: Mapping[str, int], order: Order, within: float
    ) -> None:
        """See the port."""
        call = LifecycleCall("weigh", instance_id, order, shares=weights)
        await self._called(
            call, lambda: self._there.weigh(instance_id, weights, order, within), within
        )

    async def traffic(self, instance_id: str) -> Traffic:
        """See the port."""
        return await self._line.call(lambda: self._there.traffic(instance_id), about=instance_id)

    async def parity(self, instance_id: str) -> Parity:
        """See the port."""
        return await self._line.call(lambda: self._there.parity(instance_id), about=instance_id)

    async def switch(self, instance_id: str, slot: str, order: Order, within: float) -> None:
        """See the port."""
        call = LifecycleCall("switch", instance_id, order, shares={slot: 100})
        await self._called(
            call, lambda: self._there.switch(instance_id, slot, order, within), within
        )

    async def close_slot(
        self, instance_id: str, slot: str, order: Order, drain: float, within: float
    ) -> None:
        """See the port."""
        call = LifecycleCall("close", instance_id, order)
        await self._called(
            call, lambda: self._there.close_slot(instance_id, slot, order, drain, within), within
        )

    async def _called(
        self, call: LifecycleCall, ask: Callable[[], Coroutine[Any, Any, T]], within: float
    ) -> T:
        """The answer to a call that changes something; it is seen from its beginning to its end."""
        self._witness.called(self._caller, call)
        try:
            return await self._line.call(ask, within, call.instance_id)
        finally:
            self._witness.over(self._caller, call)
