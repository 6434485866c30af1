"""What stands beside the serving slot of a simulated instance, and what happens to it there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from draas.contract.drasi_server import FOLLOWER
from draas.model.instance import InstanceState
from draas.model.slots import NO_ROUTER, SERVING, Loss, Slot
from draas.testing.simulated_handover import SimulatedHost
from draas.testing.simulated_instances import SimulatedInstances
from draas.testing.simulated_servers import SimulatedServer
from draas.testing.simulated_slotted import Slotted, Spare
from draas.testing.simulated_traffic import Manners


@dataclass
class SimulatedSecondSlots(SimulatedInstances):
    """Two slots of each instance as values.

    `router` is `none` unless a world has one; one that fails does what it did before. By instance:
    `impossible` says why there can be no second slot, `losses` which queries would begin empty,
    `rates` how many requests come in a second. By the digest of what runs: `manners` is how it
    answers, and one in `other_rows` gives other rows. Each step of a call takes `step_seconds`, and
    `stepping` is told the instance before it is made.
    """

    router: str = NO_ROUTER
    router_fails: bool = False
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

    # Inside

    async def _step(self, instance_id: str, _what: str) -> None:
        self.stepping(instance_id)
        await asyncio.sleep(self.step_seconds)
        self.reach()

    def _is_up(self, instance_id: str, mine: Slotted, spare: Spare) -> None:
        spare.up, spare.ended = True, ""
        mine.hosts[spare.name] = SimulatedHost(FOLLOWER, peer=mine.serving)
        mine.flow.attach(spare.name)
        seconds = self.dying.get(self.digests.whole(spare.document))
        if seconds is not None:
            self._later(seconds, self._slot_dies, instance_id, spare.document)

    def _closed(self, mine: Slotted) -> None:
        """Nothing is left of the spare slot."""
        if mine.spare is not None:
            mine.flow.detach(mine.spare.name)
            mine.hosts.pop(mine.spare.name, None)
        mine.spare = None
        mine.weights = {mine.serving: 100}
        mine.flow.weights = dict(mine.weights)

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

    def _state(self, instance_id: str) -> InstanceState:
        mine = self.slotted.get(instance_id)
        spare = mine.spare if mine else None
        state = super()._state(instance_id)
        if spare is None:
            return state
        return msgspec.structs.replace(state, second_slot=spare.role)

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
