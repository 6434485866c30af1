"""Slots of a simulated control plane: a candidate, weights, a switch, counted traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from draas.client.port import Order, RefusedError
from draas.control_plane.handover import HandoverError
from draas.model.clock import timestamp
from draas.model.slots import Parity, QueryParity, Slot, Slots, Traffic
from draas.testing.simulated_calls import Call
from draas.testing.simulated_slot_calls import SimulatedSlotCalls
from draas.testing.simulated_slotted import running


@dataclass
class SimulatedSlots(SimulatedSlotCalls):
    """`draas.client.port.SlotControl` over values."""

    async def call(self, call: Call, key: str | None = None) -> Any:
        """Do what a call asks for; once for all that come with the same key."""
        raise NotImplementedError

    async def slots(self, instance_id: str) -> Slots:
        """All that run, and a spare one that ended."""
        server, mine = self._known(instance_id)
        found = [] if server.running is None else [self._serving(server, mine)]
        if mine.spare is not None:
            found.append(self._spare(mine, mine.spare))
        return Slots(router=self.router, slots=found)

    async def open_slot(
        self,
        instance_id: str,
        document: Mapping[str, Any],
        order: Order,
        within: float,
        *,
        allow_state_loss: bool,
    ) -> Slot:
        """Run a candidate; fails for a digest in `failing`."""
        given = {"configuration": dict(document), "allowStateLoss": allow_state_loss}
        opened: Slot = await self._slot_order("open", instance_id, order, given)
        return opened

    async def weigh(
        self, instance_id: str, weights: Mapping[str, int], order: Order, within: float
    ) -> None:
        """Split the traffic."""
        await self._slot_order("weigh", instance_id, order, {"weights": dict(weights)})

    async def traffic(self, instance_id: str) -> Traffic:
        """What was counted so far."""
        server, mine = self._known(instance_id)
        if self.router_fails:
            raise RefusedError(503, "router-failed", "the router does not answer")
        self._count(instance_id, server, mine)
        return Traffic(at=timestamp(self.clock.now()), slots=mine.flow.counters())

    async def parity(self, instance_id: str) -> Parity:
        """One query, whose rows differ where the world was told so.

        What differs is looked at again while nothing changes.
        """
        server, mine = self._known(instance_id)
        if mine.spare is None or not mine.spare.runs or server.running is None:
            return Parity()
        both = (mine.spare.document, server.running)
        if len({self.digests.whole(each) in self.other_rows for each in both}) == 1:
            return Parity(queries=[QueryParity(id="q", same=True)])
        leads = running(instance_id, next(iter(mine.leaders()), mine.serving))
        try:
            async with mine.leadership.turn(instance_id):
                await mine.handover.seal(leads, None)
                await mine.handover.unseal(leads)
        except HandoverError as error:
            return Parity(queries=[QueryParity(id="q", same=None, reason=str(error))])
        return Parity(queries=[QueryParity(id="q", same=False, extra=[{"n": 1}])])

    async def switch(self, instance_id: str, slot: str, order: Order, within: float) -> None:
        """Let the slot serve."""
        await self._slot_order("switch", instance_id, order, {"slot": slot})

    async def close_slot(
        self, instance_id: str, slot: str, order: Order, drain: float, within: float
    ) -> None:
        """End the slot."""
        await self._slot_order("close", instance_id, order, {"slot": slot})

    # Inside

    async def _slot_order(
        self, kind: str, instance_id: str, order: Order, document: Mapping[str, Any]
    ) -> Any:
        call = Call(kind, instance_id, order.operation_id, order.fence, document)
        return await self.call(call, order.key)

    def _slots_told(self, instance_id: str) -> object:
        """What news of its slots is about."""
        mine = self.slotted.get(instance_id)
        if mine is None:
            return None
        spare = mine.spare and (mine.spare.role, mine.spare.up, mine.spare.ended)
        return mine.serving, spare, mine.weights
