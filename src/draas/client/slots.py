"""The client's side of slots: of the native control plane, and of one that has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec

from draas.client.answers import Response, decoded
from draas.client.http import HttpClient
from draas.client.port import Capabilities, Order, RefusedError
from draas.contract import routes
from draas.contract.slots import Parity, Slot, SlotPlan, Slots, Traffic

_SLOTS = msgspec.json.Decoder(Slots)
_SLOT = msgspec.json.Decoder(Slot)
_PLAN = msgspec.json.Decoder(SlotPlan)
_TRAFFIC = msgspec.json.Decoder(Traffic)
_PARITY = msgspec.json.Decoder(Parity)
PARITY_SECONDS = 30.0


class NativeSlots:
    """`draas.client.port.SlotControl` over this project's own API (docs/api.md)."""

    def __init__(self, http: HttpClient, capabilities: Capabilities) -> None:
        self._http = http
        self.capabilities = capabilities

    async def slots(self, instance_id: str) -> Slots:
        """Read."""
        return decoded(_SLOTS, await self._http.request("GET", self._slots(instance_id)))

    async def plan_slots(self, instance_id: str, document: Mapping[str, Any]) -> SlotPlan:
        """Ask without doing anything."""
        path, body = self._slots(instance_id, "plan"), {"configuration": document}
        return decoded(_PLAN, await self._http.request("POST", path, body=body))

    async def open_slot(
        self,
        instance_id: str,
        document: Mapping[str, Any],
        order: Order,
        within: float,
        *,
        allow_state_loss: bool,
    ) -> Slot:
        """Open a candidate."""
        body = {"configuration": document, "allowStateLoss": allow_state_loss}
        path = self._slots(instance_id)
        return decoded(_SLOT, await self._ordered("POST", path, order, within, body))

    async def weigh(
        self, instance_id: str, weights: Mapping[str, int], order: Order, within: float
    ) -> None:
        """Split the traffic."""
        path = self._instance(instance_id, "traffic")
        await self._ordered("PUT", path, order, within, {"weights": dict(weights)})

    async def traffic(self, instance_id: str) -> Traffic:
        """Read."""
        answer = await self._http.request("GET", self._instance(instance_id, "traffic"))
        return decoded(_TRAFFIC, answer)

    async def parity(self, instance_id: str) -> Parity:
        """Read; the control plane asks both slots first."""
        path = self._instance(instance_id, "parity")
        return decoded(_PARITY, await self._http.request("GET", path, within=PARITY_SECONDS))

    async def switch(self, instance_id: str, slot: str, order: Order, within: float) -> None:
        """Cut over to the slot."""
        await self._ordered("POST", self._slots(instance_id, f"{slot}/switch"), order, within)

    async def close_slot(
        self, instance_id: str, slot: str, order: Order, drain: float, within: float
    ) -> None:
        """Drain and remove the slot."""
        params = {"drainSeconds": f"{drain:g}"}
        path = self._slots(instance_id, slot)
        await self._ordered("DELETE", path, order, within, params=params)

    async def _ordered(
        self,
        method: str,
        path: str,
        order: Order,
        within: float,
        body: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Response:
        headers = ordered(order)
        return await self._http.request(
            method, path, body=body, params=params, headers=headers, within=within
        )

    def _slots(self, instance_id: str, part: str = "") -> str:
        return routes.slots(instance_id, part, base=self.capabilities.base)

    def _instance(self, instance_id: str, action: str = "") -> str:
        return routes.instance(instance_id, action, base=self.capabilities.base)


def ordered(order: Order) -> dict[str, str]:
    """The headers of a call that is made for an operation."""
    return {
        routes.OPERATION: order.operation_id,
        routes.FENCE: str(order.fence),
        routes.IDEMPOTENCY_KEY: order.key,
    }


class NoSlots:
    """`draas.client.port.SlotControl` of a control plane that has one slot an instance."""

    async def slots(self, instance_id: str) -> Slots:
        """None that are known apart."""
        return Slots()

    async def plan_slots(self, instance_id: str, document: Mapping[str, Any]) -> SlotPlan:
        """Nothing by two slots."""
        return SlotPlan(possible=False, reasons=[_WHY])

    async def open_slot(
        self,
        instance_id: str,
        document: Mapping[str, Any],
        order: Order,
        within: float,
        *,
        allow_state_loss: bool,
    ) -> Slot:
        """Refused."""
        _refuse()

    async def weigh(
        self, instance_id: str, weights: Mapping[str, int], order: Order, within: float
    ) -> None:
        """Refused."""
        _refuse()

    async def traffic(self, instance_id: str) -> Traffic:
        """Refused."""
        _refuse()

    async def parity(self, instance_id: str) -> Parity:
        """Refused."""
        _refuse()

    async def switch(self, instance_id: str, slot: str, order: Order, within: float) -> None:
        """Refused."""
        _refuse()

    async def close_slot(
        self, instance_id: str, slot: str, order: Order, drain: float, within: float
    ) -> None:
        """Refused."""
        _refuse()


_WHY = "this control plane runs one slot of an instance"


def _refuse() -> NoReturn:
    raise RefusedError(409, "two-slots-impossible", _WHY)
