"""What must hold in a simulated world at every moment, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from draas.decide.assign import shard_name, shard_of
from draas.decide.strategies import STRATEGIES
from draas.model.audit import AuditEntry
from draas.model.reconciliation import DriftKind, Memory, Operation, Phase, Trigger
from draas.reconciliation.daemon import Daemon
from draas.testing.faults import INSTANCES
from draas.testing.memory_leases import MemoryLeases
from draas.testing.processes import Process
from draas.testing.simulated_calls import Call
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.slot_rules import PHASES as SLOT_PHASES
from draas.testing.slot_rules import SOMEBODYS, STOPPED, SlotRules
from draas.testing.witness import LifecycleCall

ABANDONED = "down and nobody is responsible"
LEFT = "an operation is open and nobody comes back to it"
DISOBEYED = "runs though its user stopped it"
OLD_FENCE = "who was taken over was obeyed"
HASTY = "acted on before it was stored"
PHASES = {
    **SLOT_PHASES,
    **dict.fromkeys(("start", "apply"), (Phase.STARTING, Phase.RESTORING, Phase.APPLYING)),
}
"""The phases that make each kind of call."""
ABANDONED_SECONDS = 6.0
"""How long an instance may be down with nobody responsible: the feed and one retry."""
DISOBEYED_SECONDS = 20.0
"""How long an instance may run that its user stopped while it was being started."""
BREAKER_SECONDS = 25.0
"""So long after it opened may an operation begin that was decided before, all answers slow."""
GOOD_SECONDS = 30.0
"""How long what was the last good configuration may still be taken for that."""


class Member(Protocol):
    """A daemon and the process that it is."""

    daemon: Daemon
    process: Process


@dataclass
class Invariants:
    """Told of every event; calls `broken` with the rule that does not hold and where.

    `leases` say who has what, `concurrency` how many instances a daemon may work on at a time;
    `members` are the daemons of now, `faulty` says whether faults are under way or have ended just
    now, `store_failed` whether any write ever failed. `tell` is told the story, and `slots` of all
    that concerns second slots.
    """

    plane: SimulatedControlPlane
    leases: MemoryLeases
    concurrency: int
    members: Callable[[], list[Member]]
    faulty: Callable[[], bool]
    store_failed: Callable[[], bool]
    broken: Callable[[str, str], None]
    tell: Callable[[str], None]
    slots: SlotRules
    _calls: dict[Process, dict[LifecycleCall, None]] = field(default_factory=dict)
    _open: dict[str, Operation] = field(default_factory=dict)
    _stored: set[str] = field(default_factory=set)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _was_good: dict[tuple[str, str], float] = field(default_factory=dict)
    _breakers: dict[Process, float] = field(default_factory=dict)
    _obeyed: dict[str, int] = field(default_factory=dict)
    _fences: dict[int, int] = field(default_factory=dict)
    _since: dict[tuple[str, str], float] = field(default_factory=dict)

    def called(self, caller: Process, call: LifecycleCall) -> None:
        """A lifecycle call begins."""
        self.tell(f"{caller.name} {call}")
        under_way = self._calls.setdefault(caller, {})
        if call.instance_id in {each.instance_id for each in under_way}:
            self.broken("two calls at once", f"{call.instance_id} by {caller.name}")
        under_way[call] = None
        at_work = {each.instance_id for each in under_way if each.operation_id in self._stored}
        if len(at_work) > self.concurrency:
            self.broken("too many instances at once", f"more than {self.concurrency}")
        if not self._was_taken_over(call.instance_id, call.fence):
            self._was_stored(call)
            self._is_not_in_quarantine(call)
            self.slots.called(call, self._memories.get(call.instance_id))

    def over(self, caller: Process, call: LifecycleCall) -> None:
        """A lifecycle call is over for who made it."""
        self._calls[caller].pop(call, None)

    def obeyed(self, call: Call) -> None:
        """The control plane begins to do what a call asks for."""
        highest = max(self._obeyed.get(call.instance_id, 0), call.fence or 0)
        self._obeyed[call.instance_id] = highest
        if call.fence is not None and call.fence < highest:
            self.broken(OLD_FENCE, f"{call.kind} {call.instance_id} by {call.fence}")

    def took_over(self, caller: Process, fences: Mapping[int, int]) -> None:
        """The store keeps earlier holders of some shards from writing."""
        self.tell(f"{caller.name} takes over {len(fences)} shards")
        self._fences |= fences

    def wrote(self, caller: Process, instance_id: str, fence: int) -> None:
        """The store has kept what somebody wrote of an instance."""
        if fence < self._fences.get(shard_of(instance_id), 0):
            self.broken(OLD_FENCE, f"of {instance_id} was kept what {caller.name} wrote")

    def saved(self, caller: Process, operation: Operation, *entries: AuditEntry) -> None:
        """An operation was stored."""
        self.tell(
            f"{caller.name} stores {operation.id} of {operation.instance_id}: {operation.phase} "
            f"attempt {operation.attempt} target {operation.target_digest[7:13]} {operation.error}"
        )
        self._stored.add(operation.id)
        self.slots.saved(self._open.get(operation.instance_id), operation)
        self._open[operation.instance_id] = operation
        daemon = self._daemon(caller)
        if operation.phase is not Phase.CHECKING or not entries or daemon is None:
            return
        harmless = operation.kinds == (DriftKind.RUN_STATE,)
        if harmless or operation.trigger is Trigger.MANUAL or self.store_failed():
            return  # With a store that failed, it may be long since it was decided.
        if self._open_for(caller, daemon) > BREAKER_SECONDS:
            self.broken("disrupted though the breaker is open", operation.instance_id)

    def finished(self, operation: Operation) -> None:
        """An operation was closed."""
        self.tell(f"closed {operation.id} of {operation.instance_id}: {operation.outcome}")
        self._open.pop(operation.instance_id, None)

    def remembered(self, memory: Memory) -> None:
        """A memory was stored."""
        held = ", ".join(each.digest[7:13] for each in memory.quarantines)
        if held:
            self.tell(f"in quarantine for {memory.instance_id}: {held}")
        self._memories[memory.instance_id] = memory
        self.slots.remembered(memory)

    def forgotten(self, instance_id: str) -> None:
        """What was known of an instance was dropped."""
        self.tell(f"forgotten {instance_id}")
        self._open.pop(instance_id, None)
        self._memories.pop(instance_id, None)

    def in_quarantine(self, instance_id: str, digest: str) -> bool:
        """Whether the store says that the configuration is not to be tried."""
        memory = self._memories.get(instance_id)
        return memory is not None and memory.quarantine_of(digest) is not None

    def open_operation(self, instance_id: str) -> Operation | None:
        """The operation of an instance that the store holds open."""
        return self._open.get(instance_id)

    def look(self) -> None:
        """Check what may not last."""
        now = self.plane.clock.monotonic()
        for instance_id, server in self.plane.servers.items():
            if server.good is not None and server.good <= len(server.history):
                good = self.plane.digests.whole(server.history[server.good - 1])
                self._was_good[instance_id, good] = now
            idle = server.operation is None
            down = server.wanted and server.running is None and idle
            abandoned = down and not self._is_anybodys(instance_id)
            self._lasts(ABANDONED, instance_id, abandoned, ABANDONED_SECONDS)
            left = any(_has_left(member.daemon, instance_id) for member in self.members())
            self._lasts(LEFT, instance_id, left, ABANDONED_SECONDS)
            disobeyed = not server.wanted and server.running is not None
            self._lasts(DISOBEYED, instance_id, disobeyed and idle, DISOBEYED_SECONDS)
            self.slots.stepped(instance_id)
            for rule, holds in self.slots.lasting(instance_id, self._open.get(instance_id)).items():
                self._lasts(rule, instance_id, holds and not disobeyed, ABANDONED_SECONDS)
        for member in self.members():
            self._open_for(member.process, member.daemon)

    def _lasts(self, what: str, instance_id: str, holds: bool, seconds: float) -> None:
        key = (what, instance_id)
        if not holds or self.faulty():
            self._since.pop(key, None)
            return
        now = self.plane.clock.monotonic()
        if now - self._since.setdefault(key, now) > seconds:
            self.broken(what, f"{instance_id} for {seconds:g} s")

    def _open_for(self, process: Process, daemon: Daemon) -> float:
        """So many seconds a daemon's breaker was seen open, by a clock that nobody sets."""
        if daemon.breaker.state.open_since is None:
            self._breakers.pop(process, None)
            return 0.0
        now = self.plane.clock.monotonic()
        return now - self._breakers.setdefault(process, now)

    def _is_anybodys(self, instance_id: str) -> bool:
        return any(
            member.daemon.shards.owns(instance_id) and _cares(member.daemon, instance_id)
            for member in self.members()
        )

    def _was_taken_over(self, instance_id: str, fence: int) -> bool:
        """Whether somebody else has the instance by now: an old call is for others to refuse."""
        return fence < self.leases.fence(shard_name(shard_of(instance_id)))

    def _was_stored(self, call: LifecycleCall) -> None:
        operation = self._open.get(call.instance_id)
        if call.operation_id not in self._stored and call.kind == "close":
            if operation is not None and not self.store_failed():
                self.broken(SOMEBODYS, f"{call.instance_id} while {operation.phase} was stored")
            return
        if call.operation_id not in self._stored:
            self.broken(HASTY, f"{call.kind} {call.instance_id}")
            return
        if self.store_failed() or operation is None:
            return
        server = self.plane.servers.get(call.instance_id)
        wanted = server is not None and server.wanted
        two_slots = STRATEGIES[operation.strategy].two_slots
        if call.kind == "stop" and two_slots and wanted and not self.faulty():
            self.broken(STOPPED, call.instance_id)
        if operation.phase not in PHASES.get(call.kind, tuple(Phase)):
            self.broken(HASTY, f"{call.kind} {call.instance_id} while {operation.phase} was stored")

    def _is_not_in_quarantine(self, call: LifecycleCall) -> None:
        if not self.in_quarantine(call.instance_id, call.digest):
            return
        self.look()
        was_good = self._was_good.get((call.instance_id, call.digest))
        if was_good is None or self.plane.clock.monotonic() - was_good > GOOD_SECONDS:
            self.broken("a configuration in quarantine was applied", call.instance_id)

    def _daemon(self, process: Process) -> Daemon | None:
        """The daemon of a process; `None` if it has died meanwhile."""
        found = (each.daemon for each in self.members() if each.process is process)
        return next(found, None)


def _cares(daemon: Daemon, instance_id: str) -> bool:
    """Whether a daemon will look at the instance again soon, or holds it for a reason."""
    if _will_look(daemon, instance_id):
        return True
    plan = daemon.fleet.plans.get(instance_id)
    gate = plan.blocked_by if plan else None
    return gate is not None and gate.until is None and instance_id not in daemon.journal.open


def _has_left(daemon: Daemon, instance_id: str) -> bool:
    return instance_id in daemon.journal.open and not _will_look(daemon, instance_id)


def _will_look(daemon: Daemon, instance_id: str) -> bool:
    """Whether the instance is under work, in a line, or due before long."""
    queue = daemon.queue
    if queue.is_active(instance_id):
        return True
    if instance_id in (*queue.waiting(len(queue)), *daemon.places.waiting(len(INSTANCES))):
        return True
    due = queue.due(instance_id)
    horizon = daemon.rules.backoff_maximum + daemon.rules.retry_delay
    return due is not None and due - daemon.clock.now() <= horizon
