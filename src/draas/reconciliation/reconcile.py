"""One pass over one instance: observe, decide, apply, record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from draas.client.port import ControlPlane, Order
from draas.decide.approval import APPROVAL, has_expired
from draas.decide.detect import detect
from draas.decide.gates import BUDGET
from draas.decide.plan import plan as decide
from draas.decide.plan import wanted_strategy
from draas.decide.rollout import shared_digest
from draas.decide.rules import Rules
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import (
    Breaker,
    Decision,
    Memory,
    Operation,
    Plan,
    Snapshot,
    Trigger,
)
from draas.reconciliation import announce, record
from draas.reconciliation.apply import applied
from draas.reconciliation.explain import explain, new_to_share
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.journal import Journal
from draas.reconciliation.observe import Observation, Observer
from draas.reconciliation.operations import Operations
from draas.reconciliation.places import Places
from draas.reconciliation.request import Request
from draas.reconciliation.rollouts import Rollouts
from draas.reconciliation.store import LeaseLostError
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics


class Reconciler:
    """Makes passes. The caller sees to it that no two are made over one instance at once."""

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        journal: Journal,
        fleet: Fleet,
        operations: Operations,
        breaker: Callable[[], Breaker],
        places: Places,
        rollouts: Rollouts,
        rules: Rules,
        clock: Clock,
        metrics: DaemonMetrics,
    ) -> None:
        self._control_plane = control_plane
        self._journal = journal
        self._fleet = fleet
        self._operations = operations
        self._observer = Observer(control_plane, fleet)
        self._breaker = breaker
        self._places = places
        self._rollouts = rollouts
        self._rules = rules
        self._clock = clock
        self._metrics = metrics

    async def look(self, instance_id: str, request: Request) -> tuple[Plan, Observation]:
        """Observe and decide, and do nothing: the dry run (R-213) and the first half of a pass."""
        operation = self._journal.open.get(instance_id)
        memory = self._journal.memory(instance_id)
        observation = await self._observer.observe(
            instance_id,
            operation,
            self._breaker(),
            self._places.budget(instance_id),
            wanted_strategy(memory.approval, self._rules, request.strategy),
        )
        observation = await self._with_rollout(observation)
        plan = decide(
            observation.snapshot,
            self._rules,
            self._clock.now(),
            request.trigger,
            request.strategy,
            allow_state_loss=request.allow_state_loss,
        )
        return plan, observation

    async def _with_rollout(self, observation: Observation) -> Observation:
        """How the configuration that is wanted does over the fleet, where others are concerned."""
        snapshot, desired = observation.snapshot, observation.desired
        state, memory = snapshot.state, snapshot.memory
        if state is None or snapshot.operation is not None:
            return observation
        digest = memory.worked_shared if memory.worked_digest == state.desired_digest else ""
        if desired is not None:
            digest = shared_digest(desired.document)
            if self._rollouts.view(digest).failed:  # What it runs already, it may go on with.
                digest = await new_to_share(self._control_plane, state, memory, desired)
        view = self._rollouts.view(digest, self._fleet.group(state.id))
        return replace(observation, snapshot=replace(snapshot, rollout=view))

    async def reconcile(self, instance_id: str, request: Request) -> datetime | None:
        """Make a pass; when to make the next one without any news.

        An instance that is lost in the middle keeps its place until here: a call may be under way.

        Raises:
            LeaseLostError: others work on the instance.
        """
        with self._journal.pass_over(instance_id):
            try:
                return await self._pass(instance_id, request)
            except LeaseLostError:
                self._places.release(instance_id)
                raise
            finally:
                if self._journal.lost(instance_id):
                    self._places.release(instance_id)

    async def _pass(self, instance_id: str, request: Request) -> datetime | None:
        plan, observation = await self.look(instance_id, request)
        seen, begun = observation.snapshot.state, observation.snapshot.operation
        if seen is not None and await self._is_another(seen, begun):
            await self._forget(instance_id, request)
            plan, observation = await self.look(instance_id, request)
        snapshot = observation.snapshot
        settled = plan.decision in (Decision.IN_SYNC, Decision.HELD)
        if settled and self._was_told_otherwise(snapshot):
            return self._clock.now() + self._rules.transition_recheck
        self._journal.fence(instance_id)
        self._note(plan, snapshot)
        self._note_stopped(plan, request, instance_id)
        if plan.decision in (Decision.BEGIN, Decision.RESUME):
            if not self._places.take(instance_id):
                self._places.wait(instance_id, request)
                return None
        elif plan.decision is not Decision.WAITING:
            self._places.release(instance_id)
        match plan.decision:
            case Decision.GONE:
                await self._forget(instance_id, request)
                return None
            case Decision.BEGIN if snapshot.state is not None:
                self._rollouts.begin(instance_id, "" if plan.exact else snapshot.rollout.digest)
                try:
                    return await self._operations.begin(snapshot.state, plan, observation, request)
                finally:
                    self._rollouts.begun(instance_id)
            case Decision.RESUME if snapshot.operation is not None:
                return await self._operations.resume(snapshot.operation)
            case Decision.ADOPT if snapshot.state is not None:
                await self._adopt(snapshot.state, request)
                self._fleet.plans.pop(instance_id, None)
                return None
            case Decision.CLEAR if snapshot.state is not None:
                await self._clear(snapshot.state, plan, request)
                return self._clock.now()
            case Decision.HELD:
                await self._hold(snapshot, plan, request)
                return plan.next_look
            case Decision.IN_SYNC if snapshot.memory.held_audited:
                await self._journal.remember(
                    instance_id, lambda known: replace(known, held_audited="")
                )
                return plan.next_look
            case _:
                return plan.next_look

    async def _is_another(self, seen: InstanceState, begun: Operation | None) -> bool:
        """Whether the id was given again, also since an operation began that is still open.

        Then the generation that it aims at is of another configuration, or there is none: an
        earlier one alone may be an old answer.
        """
        if self._fleet.is_another(seen):
            return True
        if begun is None or not begun.target_generation:
            return False
        if seen.generation >= begun.target_generation:
            same = seen.generation == begun.target_generation
            return same and seen.desired_digest != begun.target_digest
        return await self._control_plane.generation(seen.id, begun.target_generation) is None

    def _was_told_otherwise(self, snapshot: Snapshot) -> bool:
        """Whether what was told last drifts as what was read does not: one of the two is old.

        Nobody knows which, so the instance is looked at again until they agree; then either the
        drift was read too, or it was told that it is over.
        """
        if not self._control_plane.capabilities.native:
            return False  # Nothing is told there: what was read last is the newest.
        told, read = self._fleet.states.get(snapshot.instance_id), snapshot.state
        return bool(told and read and set(detect(told).kinds) - set(detect(read).kinds))

    def _note(self, plan: Plan, snapshot: Snapshot) -> None:
        if snapshot.state is not None and not self._was_told_otherwise(snapshot):
            self._fleet.put(snapshot.state)
        if plan.decision is Decision.IN_SYNC:
            self._fleet.plans.pop(snapshot.instance_id, None)
            emit(messages.NO_DRIFT, instance_id=snapshot.instance_id)
        elif plan.decision is not Decision.GONE:
            self._fleet.plans[snapshot.instance_id] = plan

    def _note_stopped(self, plan: Plan, request: Request, instance_id: str) -> None:
        """Say why the new configuration of a stopped instance changes nothing now (R-182)."""
        if plan.decision is Decision.IN_SYNC and plan.reason and request.trigger is Trigger.CHANGE:
            refreshes = self._rules.reconcile_stopped_instances
            self._metrics.skipped("stopped")
            if refreshes:
                emit(messages.SKIPPED, instance_id=instance_id, reason=plan.reason)
            else:
                emit(messages.SKIPPED_STOPPED, instance_id=instance_id)

    async def _adopt(self, state: InstanceState, request: Request) -> None:
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

    async def _clear(self, state: InstanceState, plan: Plan, request: Request) -> None:
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

    async def _hold(self, snapshot: Snapshot, plan: Plan, request: Request) -> None:
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

    async def _forget(self, instance_id: str, request: Request) -> None:
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
