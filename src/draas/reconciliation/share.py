"""The share of the fleet that this daemon works on, where several have it between them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from draas.decide.assign import SHARDS, shard_of
from draas.decide.rollout import is_condemned
from draas.decide.rules import Rules
from draas.model.clock import Clock
from draas.model.reconciliation import Breaker, Trigger
from draas.reconciliation.breaker import FleetBreaker
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.journal import Journal
from draas.reconciliation.leases import Leases
from draas.reconciliation.options import DaemonSettings
from draas.reconciliation.places import Places
from draas.reconciliation.rollouts import Rollouts
from draas.reconciliation.shards import Shards
from draas.reconciliation.store import ReconciliationStore
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import emit


class Share:
    """Takes up what shards bring and lets go of what they take along.

    `journal` is what is remembered of the share; `rollouts` and the breaker are decided on what all
    daemons tell.
    """

    def __init__(
        self,
        settings: DaemonSettings,
        store: ReconciliationStore,
        leases: Leases,
        clock: Clock,
        *,
        fleet: Fleet,
        queue: WorkQueue,
        places: Places,
        breaker: FleetBreaker,
        rules: Rules,
    ) -> None:
        self.queue = queue
        self._fleet = fleet
        self._places = places
        self._breaker = breaker
        self._rules = rules
        self.shards = Shards(
            leases, clock, take=self._take, drop=self._drop, busy=self._busy, tell=self._tell
        )
        audit = settings.reconciliation.enable_audit_logging
        self.journal = Journal(store, fleet, self.shards.fence, clock, audit=audit)
        self.rollouts = Rollouts(
            fleet.changed,
            clock,
            settings.rollout.minimum_healthy_time,
            under_way=self.journal.open.values,
            told=self.shards.told,
            group=fleet.group,
            size=fleet.groups.size,
        )

    def look_at_fleet(self) -> Breaker:
        """The fleet's breaker now: decided by who leads, for all, from what all tell."""
        told = self.shards.told()
        leader = next((each["breaker"] for each in told if each.get("breaker")), None)
        if leader is not None and not self.shards.leads:
            return self._breaker.follow(msgspec.convert(leader, Breaker))
        own = self._fleet.view()
        failing = own.failing + sum(int(each.get("failing", 0)) for each in told)
        return self._breaker.look(replace(own, failing=failing))

    def take_back_waves(self) -> None:
        """Look at what was changed lately to a configuration that turned out bad elsewhere."""
        for digest, wave in list(self.rollouts.waves()):
            if is_condemned(self.rollouts.view(digest), self._rules):
                for instance_id in filter(self.shards.owns, wave):
                    self.queue.add(instance_id, Trigger.CHANGE)

    async def _take(self, fences: Mapping[int, int]) -> None:
        """Begin to work on shards: on what was left unfinished there, and on what drifts."""
        await self.journal.take_over(fences)
        for instance_id in self.journal.open:
            if shard_of(instance_id) in fences:
                self.queue.add(instance_id, Trigger.RESUME)
        for state in list(self._fleet.states.values()):
            if shard_of(state.id) in fences and self._fleet.put(state):
                self.queue.add(state.id, Trigger.RESYNC)
        emit(
            messages.SHARDS_HELD,
            held=len(self.shards.held) + len(fences),
            total=SHARDS,
            members=len(self.shards.members),
        )

    def _drop(self, shards: Collection[int]) -> None:
        """Let go of shards: what is remembered of them may be old from now on."""
        known = self.journal.open.keys() | self._fleet.memories.keys() | self._fleet.plans.keys()
        for instance_id in known:
            if shard_of(instance_id) in shards:
                self.journal.drop(instance_id)
                if not self.queue.is_active(instance_id):
                    self._places.release(instance_id)
                self.queue.discard(instance_id)

    def _busy(self, shards: Collection[int]) -> set[int]:
        return {shard_of(key) for key in self.queue.worked_on} & set(shards)

    def _tell(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "failing": self._fleet.view().failing,
            "rollouts": self.rollouts.tell(),
        }
        if self.shards.leads:
            told["breaker"] = msgspec.to_builtins(self._breaker.state)
        return told
