"""A simulated world: a fleet, its control plane, daemons, and what a plan lets happen to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from draas.client.port import ControlPlane, UnreachableError
from draas.decide.approval import MANUAL
from draas.decide.strategies import AUTO
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.options import (
    ApprovalOptions,
    BreakerOptions,
    DaemonSettings,
    ReconciliationOptions,
)
from draas.reconciliation.slot_options import (
    AnalysisOptions,
    BlueGreenOptions,
    CanaryOptions,
    HealthOptions,
    TwoSlotOptions,
)
from draas.reconciliation.store import StoreError
from draas.testing.faults import INSTANCES, Plan
from draas.testing.hands import Hands
from draas.testing.invariants import Invariants
from draas.testing.member import Member
from draas.testing.memory_leases import MemoryLeases
from draas.testing.memory_store import MemoryReconciliationStore
from draas.testing.network import Line
from draas.testing.people import People
from draas.testing.processes import Process
from draas.testing.remote import RemoteControlPlane
from draas.testing.remote_store import RemoteLeases, RemoteStore
from draas.testing.rest import Rest
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.slot_rules import SlotRules
from draas.testing.troubles import LOOK_SECONDS, START_SECONDS, Troubles
from draas.testing.virtual_time import VirtualClock

CHECK_SECONDS = 1.0
ORDER_SECONDS = 5.0
"""How long what a person ordered last may be on its way."""


STRATEGIES = ("Restart", "HotApply", AUTO, "RollingUpdate", "BlueGreen", "Canary", "Canary", MANUAL)
APPROVED = ("RollingUpdate", "Canary", AUTO)
SAMPLES = 20
STEP_SECONDS = 0.004
"""How long each step of a call on slots takes."""
USUAL_RATE = 40


class BrokenError(Exception):
    """Something that must hold did not: `rule` says what, `about` where and when."""

    def __init__(self, rule: str, about: str) -> None:
        super().__init__(f"{rule}: {about}")
        self.rule = rule


@dataclass(frozen=True)
class Parts:
    """What a world is made of; a test gives it a part that is defective on purpose."""

    daemon: type[Daemon] = Daemon
    control_plane: type[SimulatedControlPlane] = SimulatedControlPlane
    store: type[MemoryReconciliationStore] = MemoryReconciliationStore
    tell: Callable[[str], None] | None = None


def settings_of(variant: int) -> DaemonSettings:
    """One of the ways in which a daemon may be set; times are short, so that worlds are."""
    return DaemonSettings(
        reconciliation=ReconciliationOptions(
            default_strategy=STRATEGIES[variant // 12 % len(STRATEGIES)],
            max_concurrent_reconciliations=1 + variant % 3,
            restart_delay=timedelta(seconds=(0, 2, 2)[variant % 3]),
            retry_delay=timedelta(seconds=5),
            backoff_maximum=timedelta(seconds=20),
            health_timeout=timedelta(seconds=5),
            polling_interval=timedelta(seconds=4 if variant % 7 == 1 else 30),
            enable_event_driven_reconciliation=variant % 7 != 1,
            enable_auto_reconciliation=variant % 7 != 2,
            reconciliation_timeout=timedelta(seconds=60),
        ),
        breaker=BreakerOptions(
            enabled=variant % 4 == 0,
            minimum_failing=2,
            minimum_instances=3,
            hold_time=timedelta(seconds=60),
        ),
        approval=ApprovalOptions(strategy=APPROVED[variant // 96 % len(APPROVED)]),
        health=HealthOptions(minimum_healthy_time=timedelta(seconds=variant % 2)),
        two_slots=TwoSlotOptions(drain_time=timedelta(seconds=2)),
        canary=CanaryOptions(steps=((25, 100), (10, 50, 100))[variant % 2]),
        blue_green=BlueGreenOptions(soak_time=timedelta(seconds=6)),
        analysis=AnalysisOptions(
            minimum_samples=SAMPLES,
            step_time=timedelta(seconds=2),
            deadline=timedelta(seconds=20),
        ),
    )


class World:
    """Everything of a simulated world; `trouble` lets the plan's faults happen."""

    def __init__(self, plan: Plan, parts: Parts) -> None:
        self.plan = plan
        self.parts = parts
        self.clock = VirtualClock(plan.seed)
        self.settings = settings_of(plan.variant)
        self.names = INSTANCES[: plan.instances]
        self.plane = parts.control_plane(self.clock, start_seconds=START_SECONDS)
        self.plane.look_seconds = LOOK_SECONDS
        self.plane.router, self.plane.step_seconds = "simulated", STEP_SECONDS
        self.people = People(self.plane, self.tell)
        self.hands = Hands(lambda: self.members, self.people.aborted)
        self.store = parts.store()
        self.leases = MemoryLeases(self.clock, exclusive=plan.daemons == 1)
        self.control_planes = [Process("control-plane.1")]
        self._store_process = Process("store")
        self._random = Random(f"network {plan.seed}")
        self._verdict: BrokenError | None = None
        self.invariants = Invariants(
            plane=self.plane,
            leases=self.leases,
            concurrency=self.settings.reconciliation.max_concurrent_reconciliations,
            members=lambda: self.members,  # type: ignore[arg-type, return-value]
            faulty=lambda: self.troubles.faulty,
            store_failed=lambda: any(each.store.failed for each in self.members),
            broken=self.broken,
            tell=self.tell,
            slots=SlotRules(
                self.plane,
                self.people.kinds.get,
                SAMPLES,
                self.broken,
            ),
        )
        self.plane.obeys = self.invariants.obeyed
        self._rest = Rest(self.plane, self.people, self.invariants)
        self.members: list[Member] = []
        self.troubles = Troubles(self)
        self.plane.stepping = self._stepping

    async def begin(self) -> None:
        """A fleet in order and its daemons."""
        for name in self.names:
            await self.plane.create(name, self.people.document())
            await self.plane.want(name, running=True)
            self.plane.rates[name] = USUAL_RATE
        for number in range(self.plan.daemons):
            plane = Line(lambda: self.control_planes[-1], UnreachableError, self._random)
            store = Line(lambda: self._store_process, StoreError, self._random)
            name = f"daemon-{number}"
            self.members.append(Member(name, plane, store, self._make, self.broken))
        self._look()

    async def trouble(self) -> None:
        """Let everything happen that the plan says, each at its time."""
        for fault in self.plan.faults:
            await self.sleep(fault.at - self.clock.monotonic())
            self.tell(str(fault))
            self.troubles.happen(fault)
        while self.troubles.faulty:
            await self.sleep(1.0)
        self.plane.rates |= dict.fromkeys(self.names, USUAL_RATE)
        await self.people.rest()
        await self.sleep(ORDER_SECONDS)

    async def sleep(self, seconds: float) -> None:
        """Let time go by.

        Raises:
            BrokenError: something that must hold did not.
        """
        if seconds > 0:
            await asyncio.sleep(seconds)
        if self._verdict is not None:
            raise self._verdict

    def unrest(self) -> list[str]:
        """What is not as it should be in the end."""
        return self._rest.unrest()

    def settled_log(self) -> list[tuple[str, str]]:
        """All that was done to instances that can run well at all."""
        servers = self.plane.servers
        return [
            each for each in self.plane.log if not self._rest.hopeless(each[1], servers[each[1]])
        ]

    async def end(self) -> None:
        """Let everything die that lives, so that nothing of it is left in the loop."""
        self.invariants.broken = lambda *_: None
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        dead = [process for member in self.members for process in (*member.dead, member.process)]
        for process in (*dead, *self.control_planes):
            process.bury()
        await asyncio.gather(*tasks, return_exceptions=True)

    def broken(self, rule: str, about: str) -> None:
        """Note what does not hold; the first counts."""
        if self._verdict is None:
            self._verdict = BrokenError(rule, f"{about}, at {self.clock.monotonic():.3f} s")
            self.tell(f"BROKEN {self._verdict}")

    def tell(self, what: str) -> None:
        """Add a line to the story, if anybody wants it."""
        if self.parts.tell is not None:
            self.parts.tell(f"{self.clock.monotonic():9.3f}  {what}")

    # Inside

    def _make(self, member: Member) -> tuple[Daemon, ControlPlane]:
        process = member.process
        store = RemoteStore(process, member.store, self.store, self.invariants)
        plane = RemoteControlPlane(process, member.plane, self.plane, self.invariants)
        leases = RemoteLeases(member.store, self.leases)
        return self.parts.daemon(self.settings, store, leases, self.clock), plane

    def _look(self) -> None:
        self.invariants.look()
        asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look, context=Context())

    def _stepping(self, instance_id: str) -> None:
        self.invariants.slots.stepped(instance_id)
        self.troubles.stepping(instance_id)
