"""One pass over one instance: observe, decide, apply, record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from draas.client.port import ControlPlane
from draas.decide.detect import detect
from draas.decide.plan import plan as decide
from draas.decide.plan import wanted_strategy
from draas.decide.rollout import shared_digest
from draas.decide.rules import Rules
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import (
    Breaker,
    Decision,
    Operation,
    Plan,
    Snapshot,
)
from draas.reconciliation.bookkeeping import Bookkeeping
from draas.reconciliation.explain import new_to_share
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
        self._books = Bookkeeping(
            control_plane=control_plane,
            journal=journal,
            fleet=fleet,
            operations=operations,
            places=places,
            rules=rules,
            clock=clock,
            metrics=metrics,
        )

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
            await self._books.forget(instance_id, request)
            plan, observation = await self.look(instance_id, request)
        snapshot = observation.snapshot
        settled = plan.decision in (Decision.IN_SYNC, Decision.HELD)
        if settled and self._was_told_otherwise(snapshot):
            return self._clock.now() + self._rules.transition_recheck
        self._journal.fence(instance_id)
        self._note(plan, snapshot)
        self._books.note_stopped(plan, request, instance_id)
        if plan.decision in (Decision.BEGIN, Decision.RESUME):
            if not self._places.take(instance_id):
                self._places.wait(instance_id, request)
                return None
        elif plan.decision is not Decision.WAITING:
            self._places.release(instance_id)
        match plan.decision:
            case Decision.GONE:
                await self._books.forget(instance_id, request)
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
                await self._books.adopt(snapshot.state, request)
                self._fleet.plans.pop(instance_id, None)
                return None
            case Decision.CLEAR if snapshot.state is not None:
                await self._books.clear(snapshot.state, plan, request)
                return self._clock.now()
            case Decision.HELD:
                await self._books.hold(snapshot, plan, request)
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
