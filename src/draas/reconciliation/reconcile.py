"""One pass over one instance: observe, decide, apply, record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from draas.client.port import ControlPlane, ControlPlaneError, Desired
from draas.decide.aftermath import remember
from draas.decide.commands import ErrorClass, Result
from draas.decide.plan import plan as decide
from draas.decide.rules import Rules
from draas.decide.strategies import STRATEGIES
from draas.decide.strategies.restart import resumed
from draas.model.audit import AuditEntry
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import (
    Decision,
    Memory,
    Operation,
    Outcome,
    Phase,
    Plan,
    Snapshot,
    Trigger,
)
from draas.reconciliation import announce, record
from draas.reconciliation.apply import Executor, applied
from draas.reconciliation.breaker import FleetBreaker
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.explain import as_records, explain
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.last_good import last_good
from draas.reconciliation.observe import Observation, Observer
from draas.reconciliation.store import ReconciliationStore, StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

DAEMON = "reconciliation-daemon"
UNREACHABLE_RETRY = timedelta(seconds=1)
STORE_RETRY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Request:
    """Why a pass is made; `strategy` is a person's choice, else the settings'."""

    trigger: Trigger
    actor: str = DAEMON
    strategy: str | None = None


class Reconciler:
    """Makes passes. The caller sees to it that no two are made over one instance at once."""

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        store: ReconciliationStore,
        fleet: Fleet,
        operations: dict[str, Operation],
        breaker: FleetBreaker,
        executor: Executor,
        rules: Rules,
        counts: CycleCounts,
        clock: Clock,
        metrics: DaemonMetrics,
        audit: bool = True,
    ) -> None:
        self._control_plane = control_plane
        self._store = store
        self._fleet = fleet
        self._operations = operations
        self._observer = Observer(control_plane, fleet)
        self._breaker = breaker
        self._executor = executor
        self._rules = rules
        self._counts = counts
        self._clock = clock
        self._metrics = metrics
        self._audit = audit
        self._worked_on: set[str] = set()

    async def look(self, instance_id: str, request: Request) -> tuple[Plan, Observation]:
        """Observe and decide, and do nothing: the dry run (R-213) and the first half of a pass."""
        operation = self._operations.get(instance_id)
        observation = await self._observer.observe(
            instance_id, operation, self._breaker.look(self._fleet.view())
        )
        now = self._clock.now()
        plan = decide(observation.snapshot, self._rules, now, request.trigger, request.strategy)
        return plan, observation

    async def reconcile(self, instance_id: str, request: Request) -> datetime | None:
        """Make a pass; when to make the next one without any news."""
        plan, observation = await self.look(instance_id, request)
        snapshot = observation.snapshot
        self._note(plan, snapshot)
        self._note_stopped(plan, request, instance_id)
        match plan.decision:
            case Decision.GONE:
                await self._forget(instance_id)
                return None
            case Decision.BEGIN if snapshot.state is not None:
                operation = await self._begin(snapshot.state, plan, observation, request)
                return await self._carry_on(operation, plan.steps)
            case Decision.RESUME if snapshot.operation is not None:
                return await self._resume(snapshot.operation)
            case Decision.ADOPT if snapshot.state is not None:
                await self._adopt(snapshot.state, snapshot.memory)
                return None
            case Decision.HELD:
                await self._hold(snapshot, plan)
                return plan.next_look
            case _:
                return plan.next_look

    def _note(self, plan: Plan, snapshot: Snapshot) -> None:
        if snapshot.state is not None:
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

    async def _begin(
        self, state: InstanceState, plan: Plan, observation: Observation, request: Request
    ) -> Operation:
        memory = self._fleet.memory(state.id)
        target = await self._target(state, plan, observation)
        comparison = await explain(self._control_plane, state, plan.drift, target, memory)
        now = self._clock.now()
        operation = Operation(
            id=self._clock.new_id(),
            instance_id=state.id,
            strategy=plan.strategy,
            phase=Phase.CHECKING,
            trigger=request.trigger,
            actor=request.actor,
            cause=plan.drift.cause,
            kinds=plan.drift.kinds,
            target_digest=plan.target_digest,
            target_generation=target.generation if target else None,
            previous_digest=state.applied_digest,
            started_at=now,
            deadline=now + self._rules.reconciliation_timeout,
            phase_since=now,
            summary=comparison.summary,
            differences=as_records(comparison),
            health_before=state.health,
        )
        announce.beginning(operation, self._metrics)
        await self._save(operation, record.began(operation, plan, now))
        return operation

    async def _target(
        self, state: InstanceState, plan: Plan, observation: Observation
    ) -> Desired | None:
        try:
            if plan.restores_last_good:
                return await last_good(self._control_plane, self._fleet.memory(state.id))
            return observation.desired or await self._control_plane.desired(state.id)
        except ControlPlaneError:
            return None

    async def _resume(self, operation: Operation) -> datetime | None:
        """Go on with an operation; one that a crash left is first given back its time."""
        if operation.instance_id not in self._worked_on:
            operation = resumed(operation, self._clock.now())
        return await self._carry_on(operation, ())

    async def _carry_on(self, operation: Operation, steps: tuple[str, ...]) -> datetime | None:
        """Work through the phases; each is stored before it is acted on (B-18)."""
        self._worked_on.add(operation.instance_id)
        strategy = STRATEGIES[operation.strategy]
        while operation.phase is not Phase.FINISHED:
            command = strategy.command(operation, self._rules)
            result = await self._executor.carry_out(command, operation)
            now = self._clock.now()
            after = strategy.advance(operation, result, self._rules, now)
            stuck = not result.ok and after.phase is operation.phase
            superseded = result.error_class is ErrorClass.SUPERSEDED
            await self._save(after)
            if stuck and not superseded:
                return self._next_attempt(operation, result, now)
            operation = after
        return await self._finish(operation, steps)

    def _next_attempt(self, operation: Operation, result: Result, now: datetime) -> datetime:
        unreachable = result.error_class is ErrorClass.UNREACHABLE
        delay = UNREACHABLE_RETRY if unreachable else self._rules.retry_delay
        announce.retry(operation, result.error, delay, self._rules)
        return now + delay

    async def _finish(self, operation: Operation, steps: tuple[str, ...]) -> datetime | None:
        now = self._clock.now()
        memory = remember(
            self._fleet.memory(operation.instance_id),
            operation,
            await self._good_digest(operation),
            self._rules,
            now,
            self._clock.jitter(),
        )
        if operation.outcome is Outcome.SUCCEEDED and memory.applied_document is not None:
            memory = replace(memory, good_document=memory.applied_document)
        entries = (record.finished(operation, steps, memory, now),) if self._audit else ()
        try:
            await self._store.finish(operation, memory, *entries)
        except StoreError as error:
            emit(messages.STORE_ERROR, reason=error)
            return now + STORE_RETRY
        self._operations.pop(operation.instance_id, None)
        self._worked_on.discard(operation.instance_id)
        self._fleet.remember(memory)
        self._counts.finished(succeeded=operation.outcome is Outcome.SUCCEEDED)
        announce.end(operation, memory, self._rules, now, self._metrics)
        return now

    async def _good_digest(self, operation: Operation) -> str | None:
        try:
            good = await last_good(self._control_plane, self._fleet.memory(operation.instance_id))
        except ControlPlaneError:
            return None
        return good.digest if good else None

    async def _save(self, operation: Operation, *entries: AuditEntry) -> None:
        """Keep the operation as it stands, before it is acted on.

        Once something may have been stopped, a store that fails does not end the work: the
        operation goes on from memory, and a crash meanwhile is healed as run-state drift.
        """
        try:
            await self._store.save_operation(operation, *(entries if self._audit else ()))
        except StoreError as error:
            if operation.phase is Phase.CHECKING:
                raise
            emit(messages.STORE_ERROR, reason=error)
        self._operations[operation.instance_id] = operation

    async def _adopt(self, state: InstanceState, memory: Memory) -> None:
        """Take a running server as it is (D-14): what is desired now counts as applied."""
        desired = await self._control_plane.desired(state.id)
        now = self._clock.now()
        entry = record.noted(
            state.id, now, action="Adopted as it is running", outcome="adopted", state=state
        )
        memory = applied(memory, desired.digest, desired.document)
        memory = replace(memory, good_document=memory.applied_document)
        await self._store.remember(memory, *((entry,) if self._audit else ()))
        self._fleet.remember(memory)
        self._fleet.put(state)
        emit(messages.ADOPTED, instance_id=state.id)

    async def _hold(self, snapshot: Snapshot, plan: Plan) -> None:
        """Say once why nothing is done (R-182); back-off and locks pass by themselves."""
        gate, state = plan.blocked_by, snapshot.state
        if gate is None or state is None:
            return
        self._metrics.skipped(gate.name)
        told = f"{gate.name}:{state.desired_digest}"
        memory = self._fleet.memory(state.id)
        if gate.until is not None or memory.held_audited == told:
            return
        announce.held(state.id, gate)
        entry = record.noted(
            state.id,
            self._clock.now(),
            action=f"Held by {gate.name}: {gate.reason}",
            outcome="held",
            cause=plan.drift.cause,
            state=state,
            drift_detected=True,
        )
        memory = replace(memory, held_audited=told)
        await self._store.remember(memory, *((entry,) if self._audit else ()))
        self._fleet.remember(memory)

    async def _forget(self, instance_id: str) -> None:
        known = instance_id in self._fleet.states or instance_id in self._operations
        entry = record.noted(
            instance_id, self._clock.now(), action="The instance was deleted", outcome="gone"
        )
        if known:
            await self._store.forget(instance_id, *((entry,) if self._audit else ()))
        self._operations.pop(instance_id, None)
        self._fleet.drop(instance_id)

    async def release(self, instance_id: str, actor: str) -> bool:
        """Lift the quarantines of an instance by a person's word; whether there were any."""
        memory = self._fleet.memory(instance_id)
        if not memory.quarantines:
            return False
        entry = record.noted(
            instance_id,
            self._clock.now(),
            action="Released from quarantine: "
            + ", ".join(held.digest for held in memory.quarantines),
            outcome="released",
            state=self._fleet.states.get(instance_id),
            actor=actor,
        )
        memory = replace(
            memory, quarantines=(), failures=0, not_before=None, held_audited="", repairs=0
        )
        await self._store.remember(memory, *((entry,) if self._audit else ()))
        self._fleet.remember(memory)
        return True
