"""Slots of a simulated control plane: a candidate, weights, a switch, counted traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.client.port import Order, RefusedError
from draas.model.clock import timestamp
from draas.model.slots import (
    CANDIDATE,
    MAIN,
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
from draas.testing.simulated_instances import SimulatedInstances
from draas.testing.simulated_servers import SimulatedServer
from draas.testing.simulated_traffic import Flow, Manners


@dataclass
class Spare:
    """The slot that does not serve; `ended` says why it does not run any more."""

    name: str
    document: dict[str, Any]
    role: str = CANDIDATE
    ended: str = ""


@dataclass
class Slotted:
    """The slots of an instance and what they are sent."""

    serving: str = MAIN
    spare: Spare | None = None
    flow: Flow = field(default_factory=Flow)


@dataclass
class SimulatedSlots(SimulatedInstances):
    """`draas.client.port.SlotControl` over values.

    `router` is `none` unless a world has one. By instance: `impossible` says why there can be no
    second slot, `losses` which queries would begin empty, `rates` how many requests come in a
    second. By the digest of what runs: `manners` is how it answers, and one in `other_rows` gives
    other rows.
    """

    router: str = NO_ROUTER
    impossible: dict[str, str] = field(default_factory=dict)
    losses: dict[str, list[Loss]] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    manners: dict[str, Manners] = field(default_factory=dict)
    other_rows: set[str] = field(default_factory=set)
    slotted: dict[str, Slotted] = field(default_factory=dict)

    async def want(self, instance_id: str, *, running: bool) -> None:
        """The user's own start or stop; a stop ends every slot."""
        await super().want(instance_id, running=running)
        if not running:
            self.slotted.pop(instance_id, None)

    async def delete(self, instance_id: str) -> None:
        """The instance goes with its slots."""
        await super().delete(instance_id)
        self.slotted.pop(instance_id, None)

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
        await self._slot_order("weigh", instance_id, order, dict(weights))

    async def traffic(self, instance_id: str) -> Traffic:
        """What was counted so far."""
        server, mine = self._known(instance_id)
        self._count(instance_id, server, mine)
        return Traffic(at=timestamp(self.clock.now()), slots=mine.flow.counters())

    async def parity(self, instance_id: str) -> Parity:
        """One query, whose rows differ where the world was told so."""
        server, mine = self._known(instance_id)
        if mine.spare is None or mine.spare.ended or server.running is None:
            return Parity(queries=[QueryParity(id="q", same=None, reason="one slot runs")])
        digests = {self.digests.whole(each) for each in (mine.spare.document, server.running)}
        if digests & self.other_rows:
            return Parity(queries=[QueryParity(id="q", same=False, extra=[{"n": 1}])])
        return Parity(queries=[QueryParity(id="q", same=True)])

    async def switch(self, instance_id: str, slot: str, order: Order, within: float) -> None:
        """Let the slot serve."""
        await self._slot_order("switch", instance_id, order, {"slot": slot})

    async def close_slot(
        self, instance_id: str, slot: str, order: Order, drain: float, within: float
    ) -> None:
        """End the slot."""
        await self._slot_order("close", instance_id, order, {"slot": slot})

    async def act_on_slots(self, call: Call, server: SimulatedServer) -> Any:
        """Do what a call asks of the slots of a server that is free for it."""
        mine = self.slotted.setdefault(call.instance_id, Slotted())
        self._count(call.instance_id, server, mine)
        match call.kind:
            case "open":
                return await self._open(call, server, mine)
            case "weigh":
                self._weigh(call, mine)
            case "switch":
                self._switch(call.instance_id, call.document["slot"], server, mine)
            case "close":
                if mine.serving == call.document["slot"]:
                    raise RefusedError(409, "slot-serves", "the slot serves")
                mine.spare = None
                mine.flow.detach(call.document["slot"])
        self.log.append((call.kind, call.instance_id))
        self._tell(call.instance_id, "SlotsChanged")
        return None

    # Inside

    async def _slot_order(
        self, kind: str, instance_id: str, order: Order, document: Mapping[str, Any]
    ) -> Any:
        call = Call(kind, instance_id, order.operation_id, order.fence, document)
        return await self.call(call, order.key)

    async def _open(self, call: Call, server: SimulatedServer, mine: Slotted) -> Slot:
        document = dict(call.document["configuration"])
        wanted = self.digests.whole(document)
        plan = await self.plan_slots(call.instance_id, document)
        if not plan.possible:
            raise RefusedError(409, "two-slots-impossible", "; ".join(plan.reasons))
        if server.running is None:
            raise RefusedError(409, "instance-not-running", "nothing runs")
        if mine.spare is not None and self.digests.whole(mine.spare.document) == wanted:
            return self._spare(mine, mine.spare)
        if mine.spare is not None:
            raise RefusedError(409, "instance-busy", "there is a second slot already")
        await asyncio.sleep(self.start_seconds)
        self.reach()
        if failure := self.failing.get(wanted):
            raise RefusedError(500, "start-failed", failure)
        mine.spare = Spare(other(mine.serving), document)
        mine.flow.attach(mine.spare.name)
        self.log.append((call.kind, call.instance_id))
        if (seconds := self.dying.get(wanted)) is not None:
            self._later(seconds, self._slot_dies, call.instance_id, document)
        return self._spare(mine, mine.spare)

    def _weigh(self, call: Call, mine: Slotted) -> None:
        mine.flow.weights = {name: int(weight) for name, weight in call.document.items()}
        spare = mine.spare
        if spare is None:
            return
        dies_at = self.manners.get(self.digests.whole(spare.document), Manners()).dies_at
        if dies_at is not None and mine.flow.weights.get(spare.name, 0) >= dies_at:
            self._later(2.0, self._slot_dies, call.instance_id, spare.document)

    def _switch(self, instance_id: str, name: str, server: SimulatedServer, mine: Slotted) -> None:
        mine.flow.weights = {name: 100}
        if mine.serving == name:
            return
        spare = mine.spare
        if spare is None or spare.name != name:
            raise RefusedError(404, "slot-not-found", f"there is no slot {name!r}")
        if spare.ended:
            raise RefusedError(500, "start-failed", f"the slot ended: {spare.ended}")
        before, is_back = server.running, spare.role == RETIRED
        if is_back and self._generation(server, before) == server.good:
            server.good, server.earlier_good = server.earlier_good, None
        ended = "" if before is not None else server.reason or "it ended"
        was = before if before is not None else server.history[-1]
        mine.spare = Spare(mine.serving, was, RETIRED, ended)
        mine.serving = name
        self._run(instance_id, server, spare.document)

    def _slot_dies(self, instance_id: str, document: dict[str, Any]) -> None:
        mine, server = self.slotted.get(instance_id), self.servers.get(instance_id)
        if mine is None or server is None:
            return
        self._count(instance_id, server, mine)
        if mine.spare is not None and mine.spare.document is document:
            mine.spare.ended = "exit code 1"
            mine.flow.dead.add(mine.spare.name)
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
        if not mine.flow.weights:
            mine.flow.weights = {mine.serving: 100}
        rate = self.rates.get(instance_id, 0.0)
        mine.flow.until(self.clock.monotonic(), rate, how, mine.serving)

    def _known(self, instance_id: str) -> tuple[SimulatedServer, Slotted]:
        self.reach()
        server = self.servers.get(instance_id)
        if server is None:
            raise RefusedError(404, "instance-not-found", f"there is no instance {instance_id!r}")
        return server, self.slotted.setdefault(instance_id, Slotted())

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
            weight=mine.flow.weights.get(mine.serving, 100),
        )

    def _spare(self, mine: Slotted, spare: Spare) -> Slot:
        wanted, observable = (
            self.digests.whole(spare.document),
            self.digests.observable(spare.document),
        )
        health, reason = "Healthy", ""
        if spare.ended:
            health, reason = "Unhealthy", spare.ended
        elif wanted in self.sick:
            health, reason = "Unhealthy", "/health answers 500"
        elif wanted in self.obscure:
            health, reason = "Unknown", "/health answers in words of its own"
        return Slot(
            name=spare.name,
            role=spare.role,
            digest=wanted,
            components_digest=observable,
            observed_components_digest=None if spare.ended else observable,
            health=health,
            reason=reason or None,
            process_id=None if spare.ended else 2,
            weight=mine.flow.weights.get(spare.name, 0),
        )
