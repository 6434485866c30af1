"""Calls on the slots of a simulated instance, step by step as the real control plane makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from draas.client.port import RefusedError
from draas.control_plane.handover import HandoverError
from draas.model.slots import CANDIDATE, NO_ROUTER, RETIRED, Slot, SlotPlan, other
from draas.testing.simulated_calls import Call
from draas.testing.simulated_second_slots import SimulatedSecondSlots
from draas.testing.simulated_servers import SimulatedServer
from draas.testing.simulated_slotted import Slotted, Spare
from draas.testing.simulated_traffic import Manners

DYING_SECONDS = 2.0
"""So long after it got too much traffic does one die that dies of it."""


@dataclass
class SimulatedSlotCalls(SimulatedSecondSlots):
    """Carries calls on slots out; the lead goes over by the real `Leadership`."""

    async def plan_slots(self, instance_id: str, document: Mapping[str, Any]) -> SlotPlan:
        """As the world was told."""
        self._known(instance_id)
        why = "there is no router" if self.router == NO_ROUTER else self.impossible.get(instance_id)
        losses = self.losses.get(instance_id, [])
        return SlotPlan(possible=not why, reasons=[why] if why else [], losses=losses)

    async def act_on_slots(self, call: Call, server: SimulatedServer) -> Any:
        """Do what a call asks of the slots of a server that it holds."""
        mine = self.slots_of(call.instance_id)
        self._count(call.instance_id, server, mine)
        given, opened = call.document, None
        match call.kind:
            case "open":
                opened = await self._open(call, server, mine)
            case "weigh":
                await self._weigh(call.instance_id, given["weights"], server, mine)
            case "switch":
                await self._switch(call.instance_id, given["slot"], server, mine)
            case _:
                await self._close(call.instance_id, given["slot"], server, mine)
        self.log.append((call.kind, call.instance_id))
        return opened

    def require_served(self, call: Call, server: SimulatedServer) -> None:
        """Only what runs has slots; one that was kept may take over where what served has ended.

        Raises:
            RefusedError: nothing serves (instance-not-running).
        """
        left = call.kind == "switch" and self.slots_of(call.instance_id).runs(
            call.document["slot"], served=False
        )
        if server.running is None and not left:
            raise RefusedError(409, "instance-not-running", "nothing runs; start it")

    async def lead(self, instance_id: str, mine: Slotted, name: str, *, served: bool) -> None:
        """Give a slot the lead.

        Raises:
            RefusedError: it could not be seen to (switch-failed).
        """
        try:
            await mine.leadership.give(mine.record(instance_id, served=served), name)
        except HandoverError as error:
            raise RefusedError(500, "switch-failed", str(error)) from None

    # Inside

    async def _open(self, call: Call, server: SimulatedServer, mine: Slotted) -> Slot:
        instance_id, document = call.instance_id, dict(call.document["configuration"])
        plan = await self.plan_slots(instance_id, document)
        lost = [] if call.document["allowStateLoss"] else [each.query for each in plan.losses]
        if not plan.possible or lost:
            why = "; ".join([*plan.reasons, *lost])
            raise RefusedError(409, "two-slots-impossible", why)
        wanted, spare = self.digests.whole(document), mine.spare
        known = spare is not None and self.digests.whole(spare.document) == wanted
        if spare is not None and not (known and spare.role == CANDIDATE):
            raise RefusedError(409, "slot-occupied", f"there is a {spare.role} slot already")
        if spare is None or not spare.runs:
            spare = mine.spare = Spare(other(mine.serving), document, up=False)
            self._tell(instance_id, "SlotsChanged")
            await asyncio.sleep(self.start_seconds)
            self.reach()
            if server.running is None:
                self._closed(mine)
                raise RefusedError(409, "instance-not-running", "what it was to follow has ended")
            if failure := self.failing.get(wanted):
                self._closed(mine)
                raise RefusedError(500, "start-failed", failure)
            self._is_up(instance_id, mine, spare)
        return self._spare(mine, spare)

    async def _weigh(
        self, instance_id: str, weights: Mapping[str, int], server: SimulatedServer, mine: Slotted
    ) -> None:
        served = server.running is not None
        for name, weight in weights.items():
            if weight and not mine.runs(name, served=served):
                raise RefusedError(404, "slot-not-found", f"no slot {name!r} runs")
        if sum(weights.values()) != 100 or min(weights.values()) < 0:
            raise RefusedError(400, "invalid-parameter", "weights make 100 together")
        await self._direct(instance_id, mine, weights)
        spare = mine.spare
        if spare is None:
            return
        dies_at = self.manners.get(self.digests.whole(spare.document), Manners()).dies_at
        if dies_at is not None and weights.get(spare.name, 0) >= dies_at:
            self._later(DYING_SECONDS, self._slot_dies, instance_id, spare.document)

    async def _switch(
        self, instance_id: str, name: str, server: SimulatedServer, mine: Slotted
    ) -> None:
        served = server.running is not None
        if not mine.runs(name, served=served):
            raise RefusedError(404, "slot-not-found", f"no slot {name!r} runs")
        await self.lead(instance_id, mine, name, served=served)
        if mine.serving != name and mine.spare is not None:
            self._serve(instance_id, server, mine, mine.spare, retires=served)
        await self._direct(instance_id, mine, {name: 100})

    def _serve(
        self,
        instance_id: str,
        server: SimulatedServer,
        mine: Slotted,
        spare: Spare,
        *,
        retires: bool,
    ) -> None:
        """Record that the spare slot serves; the other is retired, if it still ran."""
        before, is_back = server.running, spare.role == RETIRED
        if before and is_back and self._generation(server, before) == server.good:
            server.good, server.earlier_good = server.earlier_good, None
        ended = "" if before is not None else "it ended"
        was = before or server.history[-1]
        mine.spare = Spare(mine.serving, was, RETIRED, ended=ended) if retires else None
        mine.serving = spare.name
        mine.weights = {spare.name: 100}
        self._run(instance_id, server, spare.document)
        if spare.ended:  # While it took over, which is found when the call is over.
            self.fall(instance_id, spare.ended)

    async def _close(
        self, instance_id: str, name: str, server: SimulatedServer, mine: Slotted
    ) -> None:
        if mine.serving == name:
            raise RefusedError(409, "slot-serves", "the slot serves")
        if mine.spare is None or mine.spare.name != name:
            return
        try:
            await mine.leadership.keep(mine.record(instance_id, served=server.running is not None))
        except HandoverError as error:
            raise RefusedError(500, "switch-failed", str(error)) from None
        await self._route(instance_id)
        self._closed(mine)

    async def _direct(self, instance_id: str, mine: Slotted, weights: Mapping[str, int]) -> None:
        """Record the weights, then let them count."""
        mine.weights = dict(weights)
        await self._route(instance_id)
        self._count(instance_id, self.servers[instance_id], mine)
        mine.flow.weights = dict(weights)

    async def _route(self, instance_id: str) -> None:
        await self._step(instance_id, "route")
        if self.router_fails:
            raise RefusedError(503, "router-failed", "the router does not answer")

    def _known(self, instance_id: str) -> tuple[SimulatedServer, Slotted]:
        self.reach()
        server = self.servers.get(instance_id)
        if server is None:
            raise RefusedError(404, "instance-not-found", f"there is no instance {instance_id!r}")
        return server, self.slots_of(instance_id)
