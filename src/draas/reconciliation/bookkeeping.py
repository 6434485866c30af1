"""What a pass does besides operations: adopt, clear, hold, forget, and say it once each."""

from __future__ import annotations

from dataclasses import replace

from draas.client.port import ControlPlane, Order
from draas.decide.approval import APPROVAL, has_expired
from draas.decide.gates import BUDGET
from draas.decide.rules import Rules
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import Decision, Memory, Plan, Snapshot, Trigger
from draas.reconciliation import announce, record
from draas.reconciliation.apply import applied
from draas.reconciliation.explain import explain
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.journal import Journal
from draas.reconciliation.operations import Operations
from draas.reconciliation.places import Places
from draas.reconciliation.request import Request
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics


class Bookkeeping:
    """Ends a pass in which no operation begins or goes on."""

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        journal: Journal,
        fleet: Fleet,
        operations: Operations,
        places: Places,
        rules: Rules,
        clock: Clock,
        metrics: DaemonMetrics,
    ) -> None:
        self._control_plane = control_plane
        self._journal = journal
        self._fleet = fleet
        self._operations = operations
        self._places = places
        self._rules = rules
        self._clock = clock
        self._metrics = metrics

    def note_stopped(self, plan: Plan, request: Request, instance_id: str) -> None:
        """Say why the new configuration of a stopped instance changes nothing now (R-182)."""
        if plan.decision is Decision.IN_SYNC and plan.reason and request.trigger is Trigger.CHANGE:
            refreshes = self._rules.reconcile_stopped_instances
            self._metrics.skipped("stopped")
            if refreshes:
                emit(messages.SKIPPED, instance_id=instance_id, reason=plan.reason)
            else:
                emit(messages.SKIPPED_STOPPED, instance_id=instance_id)

    async def adopt(self, state: InstanceState, request: Request) -> None:
        """Take a running server as it is (D-14): what is desired now counts as applied."""
        desired = await self._control_plane.desired(state.id)
        now = self._clock.now()
        entry = record.noted(
            state.id,
            now,
            action="Adopted as it is running",
            outcome="adopted",
            trigger=request.trigger,
            actor=request.actor,
            state=state,
        )

        def adopted(known: Memory) -> Memory:
            memory = applied(known, desired.digest, desired.document)
            return replace(memory, good_document=memory.applied_document)

        await self._journal.remember(state.id, adopted, entry)
        self._fleet.put(state)
        emit(messages.ADOPTED, instance_id=state.id)

    async def clear(self, state: InstanceState, plan: Plan, request: Request) -> None:
        """Remove a slot that nobody comes back to, as what began it is lost."""
        spare = (await self._control_plane.slots(state.id)).spare
        if spare is None:
            return
        called = self._clock.new_id()
        await self._control_plane.close_slot(
            state.id, spare.name, Order(called, self._journal.fence(state.id), called), 0.0, 60.0
        )
        entry = record.noted(
            state.id,
            self._clock.now(),
            action=f"Removed slot {spare.name}: {plan.reason}",
            outcome="cleared",
            trigger=request.trigger,
            actor=request.actor,
            state=state,
        )
        await self._journal.remember(state.id, lambda known: known, entry)
        emit(messages.SLOT_CLOSED, instance_id=state.id, slot=spare.name)

    async def hold(self, snapshot: Snapshot, plan: Plan, request: Request) -> None:
        """Say once why nothing is done (R-182); back-off and locks pass by themselves."""
        gate, state = plan.blocked_by, snapshot.state
        if gate is None or state is None:
            return
        if gate.name == BUDGET:
            self._places.wait(state.id, request)
            return
        self._metrics.skipped(gate.name)
        told = f"{gate.name}:{plan.digest if gate.name == APPROVAL else state.desired_digest}"
        memory = self._fleet.memory(state.id)
        if gate.name == APPROVAL and has_expired(memory.approval, plan.digest, self._clock.now()):
            told += ":expired"
        if gate.until is not None or memory.held_audited == told:
            return
        announce.held(state.id, gate)
        entry = record.noted(
            state.id,
            self._clock.now(),
            action=f"Held by {gate.name}: {gate.reason}",
            outcome="held",
            trigger=request.trigger,
            actor=request.actor,
            drift=plan.drift,
            state=state,
        )
        if gate.name == APPROVAL:
            desired = await self._control_plane.desired(state.id)
            found = await explain(self._control_plane, state, plan.drift, desired, memory)
            entry = record.detailed(entry, plan, found)
        await self._journal.remember(
            state.id, lambda known: replace(known, held_audited=told), entry
        )

    async def forget(self, instance_id: str, request: Request) -> None:
        """The instance is gone, or its id was given again: its story ends (B-19)."""
        await self._operations.abandon(instance_id)
        self._places.release(instance_id)
        now = self._clock.now()
        entry = record.noted(
            instance_id,
            now,
            action="The instance was deleted",
            outcome="gone",
            trigger=request.trigger,
            actor=request.actor,
        )
        await self._journal.forget(instance_id, entry)
