"""How each kind of fault happens to a simulated world, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from draas.testing.faults import HANDS, PEOPLE, Fault
from draas.testing.member import Member
from draas.testing.processes import Process

if TYPE_CHECKING:
    from draas.testing.world import World

LOOK_SECONDS = 0.3
START_SECONDS = 0.2
LOST_SECONDS = 10.0
"""So long it may take until somebody finds out that an answer will not come."""
TAKEOVER_SECONDS = 12.0
"""The TTL of a lease, two beats and the time that both sides need for them."""
STALE_SECONDS = 35.0
"""After stale reads the next periodic check has to set things right."""


class Troubles:
    """Lets faults happen; `faulty` while one is under way or has only just ended."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._under_way = 0
        self._calm_from = 0.0
        self._deadly, self._steps, self._outage = "", 0, 0.0

    @property
    def faulty(self) -> bool:
        """Whether less may be expected than usual."""
        return self._under_way > 0 or self._world.clock.monotonic() < self._calm_from

    def happen(self, fault: Fault) -> None:
        """Let it happen now; what lasts ends by itself."""
        world = self._world
        member = world.members[fault.target % len(world.members)]
        name = world.names[fault.target % len(world.names)]
        match fault.kind:
            case kind if kind in PEOPLE:
                world.people.act(fault, name)
            case kind if kind in HANDS:
                world.hands.act(kind, name)
            case "crash" | "fall-sick":
                self._hurt(name, fault)
            case "kill-daemon":
                self._kill(member, fault)
            case "freeze-daemon":
                process = member.process
                process.freeze(int(fault.amount))
                self._later(fault.seconds, process.thaw, self._takeover)
            case "freeze-at-call":
                self._freeze_at_call(name, fault)
            case "kill-control-plane":
                self._kill_control_plane(fault.seconds)
            case "freeze-control-plane":
                control_plane = world.control_planes[-1]
                control_plane.freeze()
                self._later(fault.seconds, control_plane.thaw)
            case "cut-control-plane":
                self._set(member.plane, "cut", True, False, fault)
            case "cut-store":
                self._set(member.store, "cut", True, False, fault, self._takeover)
            case "lose-answers":
                self._set(member.plane, "lost", int(fault.amount), 0, fault, LOST_SECONDS)
            case "lose-store-answers":
                grace = LOST_SECONDS + self._takeover
                self._set(member.store, "lost", int(fault.amount), 0, fault, grace)
            case "repeat-calls":
                self._set(member.plane, "repeated", int(fault.amount), 0, fault)
            case "slow-answers":
                self._set(member.plane, "slow", fault.amount, 0.0, fault)
            case "slow-starts":
                self._set(world.plane, "start_seconds", fault.amount, START_SECONDS, fault)
            case "slow-looks":
                self._set(world.plane, "look_seconds", fault.amount, LOOK_SECONDS, fault)
            case "stale-reads":
                self._set(world.plane, "lag", fault.amount, 0.0, fault, STALE_SECONDS)
            case "jump-clock":
                world.clock.jump(timedelta(seconds=fault.amount))
            case _:
                self._happen_to_slots(name, fault)

    def _happen_to_slots(self, name: str, fault: Fault) -> None:
        match fault.kind:
            case "crash-candidate":
                self._hurt_beside(name)
            case "hang-handover":
                self._hang(name, fault)
            case "change-traffic":
                self._world.plane.rates[name] = fault.amount
            case "kill-at-step":
                self._kill_at_step(name, fault)
            case "router-fails":
                self._set(self._world.plane, "router_fails", True, False, fault)
            case kind:
                raise ValueError(f"nobody knows how {kind} happens")

    def _hurt(self, name: str, fault: Fault) -> None:
        """A server dies, or is not healthy for a while, through no fault of its configuration."""
        plane = self._world.plane
        server = plane.servers.get(name)
        if server is None or server.running is None:
            return
        self._world.people.shot.add(plane.digests.whole(server.running))
        if fault.kind == "crash":
            plane.fall(name, "exit code 137")
        else:
            plane.sicken(name)
            self._later(fault.seconds, lambda: plane.examine(name))

    def _hurt_beside(self, name: str) -> None:
        """A second slot dies, through no fault of its configuration."""
        plane = self._world.plane
        mine = plane.slotted.get(name)
        if mine is not None and mine.spare is not None and mine.spare.runs:
            self._world.people.shot.add(plane.digests.whole(mine.spare.document))
            plane.fall_beside(name)

    def _hang(self, name: str, fault: Fault) -> None:
        """The servers of an instance answer nothing that is asked of the lead for a while."""
        mine = self._world.plane.slotted.get(name)
        if mine is None:
            return
        hosts = list(mine.hosts.values())[int(fault.amount) % 2 :]
        for host in hosts:
            host.hangs = True

        def answer() -> None:
            for host in hosts:
                host.hangs = False

        self._later(fault.seconds, answer, LOST_SECONDS)

    def stepping(self, instance_id: str) -> None:
        """A step of a call on the slots of an instance is made next."""
        if instance_id != self._deadly:
            return
        self._steps -= 1
        if self._steps == 0:
            self._deadly = ""
            self._kill_control_plane(self._outage)

    def _kill_at_step(self, name: str, fault: Fault) -> None:
        """The control plane dies in the middle of a call on the slots of an instance."""
        self._deadly, self._steps, self._outage = name, int(fault.amount), fault.seconds
        self._world.people.act(replace(fault, kind="patch"), name)

    def _freeze_at_call(self, name: str, fault: Fault) -> None:
        """Whoever works on the instance next freezes when one of its calls was to set out."""
        world, left = self._world, int(fault.amount)

        def heed(member: Member, about: str) -> None:
            nonlocal left
            if about != name or world.invariants.open_operation(name) is None:
                return
            left -= 1
            if left == 0:
                world.tell(f"{member.process.name} freezes")
                member.process.freeze()
                self._later(fault.seconds, member.process.thaw, self._takeover)

        for member in world.members:
            member.plane.heed = member.store.heed = partial(heed, member)
        world.people.act(replace(fault, kind="patch"), name)

    def _kill(self, member: Member, fault: Fault) -> None:
        """The daemon dies so many steps from now, and is started again after a while."""
        process, loop = member.process, asyncio.get_running_loop()
        if process.doomed:
            return
        self._under_way += 1

        def back() -> None:
            self._under_way -= 1
            self._calm_in(self._takeover)
            self._world.tell(f"{member.name} is started again")
            member.start_after(process)

        def dies() -> None:
            self._world.tell(f"{process.name} dies")
            member.killed(process)
            loop.call_later(fault.seconds, back, context=Context())

        def spared() -> None:
            """It was not so busy as to make these steps, or has died of something else."""
            if process.spare():
                self._under_way -= 1

        process.kill_after(int(fault.amount), dies)
        loop.call_later(fault.seconds + 10.0, spared, context=Context())

    def _kill_control_plane(self, seconds: float) -> None:
        world = self._world
        if world.control_planes[-1].dead:
            return
        world.control_planes[-1].kill()
        world.plane.reachable = False
        for member in world.members:
            member.plane.sever("the control plane died")

        def back() -> None:
            world.control_planes.append(Process(f"control-plane.{len(world.control_planes) + 1}"))
            world.plane.recover()

        self._later(seconds, back)

    def _set(
        self, thing: object, name: str, bad: object, good: object, fault: Fault, grace: float = 0
    ) -> None:
        setattr(thing, name, bad)
        self._later(fault.seconds, lambda: setattr(thing, name, good), grace)

    @property
    def _takeover(self) -> float:
        """How long it may take until another daemon has what one has lost."""
        return TAKEOVER_SECONDS if len(self._world.members) > 1 else 0.0

    def _calm_in(self, seconds: float) -> None:
        self._calm_from = max(self._calm_from, self._world.clock.monotonic() + seconds)

    def _later(self, seconds: float, undo: Callable[[], None], grace: float = 0.0) -> None:
        self._under_way += 1

        def ends() -> None:
            self._under_way -= 1
            self._calm_in(grace)
            undo()

        asyncio.get_running_loop().call_later(seconds, ends, context=Context())
