"""Slots of a simulated control plane: a candidate, weights, a switch, counted traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from draas.client.port import Order, RefusedError
from draas.contract.drasi_server import FOLLOWER
from draas.control_plane.handover import HandoverError
from draas.model.clock import timestamp
from draas.model.instance import InstanceState
from draas.model.slots import (
    CANDIDATE,
    NO_ROUTER,
    RETIRED,
    SERVING,
    Loss,
    Parity,
    QueryParity,
    Slot,
    SlotPlan,
    Slots,
    Traffic,
    other,
)
from draas.testing.simulated_calls import Call
from draas.testing.simulated_handover import SimulatedHost
from draas.testing.simulated_instances import SimulatedInstances
from draas.testing.simulated_servers import SimulatedServer
from draas.testing.simulated_slotted import Slotted, Spare, running
from draas.testing.simulated_traffic import Manners

DYING_SECONDS = 2.0
"""So long after it got too much traffic does one die that dies of it."""


@dataclass
class SimulatedSlots(SimulatedInstances):
    """`draas.client.port.SlotControl` over values; the lead goes over by the real `Leadership`.

    `router` is `none` unless a world has one. By instance: `impossible` says why there can be no
    second slot, `losses` which queries would begin empty, `rates` how many requests come in a
    second. By the digest of what runs: `manners` is how it answers, and one in `other_rows` gives
    other rows. Each step of a call takes `step_seconds`, and `stepping` is told the instance before
    it is made.
    """

    router: str = NO_ROUTER
    impossible: dict[str, str] = field(default_factory=dict)
    losses: dict[str, list[Loss]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    manners: dict[str, Manners] = field(default_factory=dict)
    other_rows: set[str] = field(default_factory=set)
    slotted: dict[str, Slotted] = field(default_factory=dict)
    step_seconds: float = 0.0
    stepping: Callable[[str], None] = lambda _instance_id: None

    async def want(self, instance_id: str, *, running: bool) -> None:
        """The user's own start or stop: a stop ends every slot, a start what is left of any."""
        server = self.servers[instance_id]
        self._free(instance_id, server)
        if not running or server.running is None:
            self.slotted.pop(instance_id, None)
        await super().want(instance_id, running=running)

    def fall(self, instance_id: str, reason: str) -> None:
        """What serves ends by itself; a second slot runs on."""
        self.slots_of(instance_id).dies(self.slots_of(instance_id).serving)
        super().fall(instance_id, reason)

    def fall_beside(self, instance_id: str, reason: str = "exit code 137") -> None:
        """The second slot ends by itself, if there is one."""
        mine = self.slots_of(instance_id)
        if mine.spare is None or not mine.spare.runs:
            return
        self._count(instance_id, self.servers[instance_id], mine)
        mine.spare.ended = reason
        mine.dies(mine.spare.name)
        self._tell(instance_id, "SlotsChanged")

    async def delete(self, instance_id: str) -> None:
        """The instance goes with its slots."""
        await super().delete(instance_id)
        self.slotted.pop(instance_id, None)

    def recover(self) -> None:
        """Adopt the slots that run; traffic is as it was recorded, and somebody leads."""
        for instance_id, mine in self.slotted.items():
            spare = mine.spare
            if spare and (spare.ended or self.digests.whole(spare.document) in self.failing):
                self._closed(mine)
            elif spare and not spare.up:
                self._is_up(instance_id, mine, spare)
            mine.flow.weights = dict(mine.weights)
            mine.mend()
        super().recover()

    def slots_of(self, instance_id: str) -> Slotted:
        """The slots of an instance."""
        mine = self.slotted.setdefault(instance_id, Slotted())
        mine.handover.before = partial(self._step, instance_id)
        return mine

    def count(self, instance_id: str) -> None:
        """Count what came until now."""
        self._count(instance_id, self.servers[instance_id], self.slots_of(instance_id))

    async def call(self, call: Call, key: str | None = None) -> Any:
        """Do what a call asks for; once for all that come with the same key."""
        raise NotImplementedError

    # What the daemon asks

    async def slots(self, instance_id: str) -> Slots:
        """All that run, and a spare one that ended."""
        server, mine = self._known(instance_id)
        found = [] if server.running is None else [self._serving(server, mine)]
        if mine.spare is not None:
            found.append(self._spare(mine, mine.spare))
        return Slots(router=self.router, slots=found)

    async def plan_slots(self, instance_id: str, document: Mapping[str, Any]) -> SlotPlan:
        """As the world was told."""
        self._known(instance_id)
        why = "there is no router" if self.router == NO_ROUTER else self.impossible.get(instance_id)
        losses = self.losses.get(instance_id, [])
        return SlotPlan(possible=not why, reasons=[why] if why else [], losses=losses)

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

    # Inside

    async def _slot_order(
        self, kind: str, instance_id: str, order: Order, document: Mapping[str, Any]
    ) -> Any:
        call = Call(kind, instance_id, order.operation_id, order.fence, document)
        return await self.call(call, order.key)

    async def _step(self, instance_id: str, _what: str) -> None:
        self.stepping(instance_id)
        await asyncio.sleep(self.step_seconds)
        self.reach()

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

    def _is_up(self, instance_id: str, mine: Slotted, spare: Spare) -> None:
        spare.up, spare.ended = True, ""
        mine.hosts[spare.name] = SimulatedHost(FOLLOWER, peer=mine.serving)
        mine.flow.attach(spare.name)
        seconds = self.dying.get(self.digests.whole(spare.document))
        if seconds is not None:
            self._later(seconds, self._slot_dies, instance_id, spare.document)

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

    async def lead(self, instance_id: str, mine: Slotted, name: str, *, served: bool) -> None:
        """Give a slot the lead.

        Raises:
            RefusedError: it could not be seen to (switch-failed).
        """
        try:
            await mine.leadership.give(mine.record(instance_id, served=served), name)
        except HandoverError as error:
            raise RefusedError(500, "switch-failed", str(error)) from None

    def _serve(
        self,
        instance_id: str,
        server: SimulatedServer,
        mine: Slotted,
        spare: Spare,
        *,
        retires: bool,
    ) -> None:
        """Record that the spare slot serves; the other is retired, if it still ran.

        One that ended while it was given the lead ends as what serves.
        """
        before, is_back = server.running, spare.role == RETIRED
        if before and is_back and self._generation(server, before) == server.good:
            server.good, server.earlier_good = server.earlier_good, None
        ended = "" if before is not None else "it ended"
        was = before or server.history[-1]
        mine.spare = Spare(mine.serving, was, RETIRED, ended=ended) if retires else None
        mine.serving = spare.name
        mine.weights = {spare.name: 100}
        self._run(instance_id, server, spare.document)
        if spare.ended:
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
        await self._step(instance_id, "route")
        self._closed(mine)

    def _closed(self, mine: Slotted) -> None:
        """Nothing is left of the spare slot."""
        if mine.spare is not None:
            mine.flow.detach(mine.spare.name)
            mine.hosts.pop(mine.spare.name, None)
        mine.spare = None
        mine.weights = {mine.serving: 100}
        mine.flow.weights = dict(mine.weights)

    async def _direct(self, instance_id: str, mine: Slotted, weights: Mapping[str, int]) -> None:
        """Record the weights, then let them count."""
        mine.weights = dict(weights)
        await self._step(instance_id, "route")
        self._count(instance_id, self.servers[instance_id], mine)
        mine.flow.weights = dict(weights)

    def _slot_dies(self, instance_id: str, document: dict[str, Any]) -> None:
        mine, server = self.slotted.get(instance_id), self.servers.get(instance_id)
        if mine is None or server is None:
            return
        if mine.spare is not None and mine.spare.document is document:
            self.fall_beside(instance_id, "exit code 1")
        elif server.running is document:
            self.fall(instance_id, "exit code 1")

    def _count(self, instance_id: str, server: SimulatedServer, mine: Slotted) -> None:
        documents = {mine.serving: server.running}
        if mine.spare is not None:
            documents[mine.spare.name] = mine.spare.document
        how = {
            name: self.manners.get(self.digests.whole(each), Manners()) if each else Manners()
            for name, each in documents.items()
        }
        rate = self.rates.get(instance_id, 0.0)
        mine.flow.until(self.clock.monotonic(), rate, how, mine.serving)

    def _known(self, instance_id: str) -> tuple[SimulatedServer, Slotted]:
        self.reach()
        server = self.servers.get(instance_id)
        if server is None:
            raise RefusedError(404, "instance-not-found", f"there is no instance {instance_id!r}")
        return server, self.slots_of(instance_id)

    def _state(self, instance_id: str) -> InstanceState:
        mine = self.slotted.get(instance_id)
        spare = mine.spare if mine else None
        state = super()._state(instance_id)
        if spare is None:
            return state
        return msgspec.structs.replace(state, second_slot=spare.role)

    def _slots_told(self, instance_id: str) -> object:
        """What news of its slots is about."""
        mine = self.slotted.get(instance_id)
        if mine is None:
            return None
        spare = mine.spare and (mine.spare.role, mine.spare.up, mine.spare.ended)
        return mine.serving, spare, mine.weights

    def _serving(self, server: SimulatedServer, mine: Slotted) -> Slot:
        assert server.running is not None
        return Slot(
            name=mine.serving,
            role=SERVING,
            digest=self.digests.whole(server.running),
            components_digest=self.digests.observable(server.running),
            observed_components_digest=server.observed,
            health=server.health,
            reason=server.reason,
            process_id=1,
            weight=mine.weights.get(mine.serving, 0),
            handover=mine.followed(mine.serving),
        )

    def _spare(self, mine: Slotted, spare: Spare) -> Slot:
        wanted, observable = (
            self.digests.whole(spare.document),
            self.digests.observable(spare.document),
        )
        health, reason = "Healthy", ""
        if not spare.runs:
            health, reason = "Unhealthy", spare.ended or "nothing runs in it"
        elif wanted in self.sick:
            health, reason = "Unhealthy", "/health answers 500"
        elif wanted in self.obscure:
            health, reason = "Unknown", "/health answers in words of its own"
        return Slot(
            name=spare.name,
            role=spare.role,
            digest=wanted,
            components_digest=observable,
            observed_components_digest=observable if spare.runs else None,
            health=health,
            reason=reason or None,
            process_id=2 if spare.runs else None,
            weight=mine.weights.get(spare.name, 0),
            handover=mine.followed(spare.name),
        )
