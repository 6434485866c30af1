"""Work through operations: each phase is stored before it is acted on (B-18)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from draas.client.port import ControlPlane, ControlPlaneError, Desired
from draas.decide.aftermath import remember
from draas.decide.commands import ErrorClass, Result
from draas.decide.hand import obeying
from draas.decide.rules import Rules
from draas.decide.strategies import STRATEGIES
from draas.decide.strategies.restart import resumed
from draas.decide.strategies.strategy import Strategy
from draas.decide.strategies.watching import rows_differ
from draas.model.audit import AuditEntry
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import (
    Drift,
    DriftKind,
    Memory,
    Operation,
    Outcome,
    Phase,
    Plan,
)
from draas.reconciliation import announce, record
from draas.reconciliation.apply import Executor
from draas.reconciliation.counts import CycleCounts
from draas.reconciliation.explain import NOTHING, as_records, explain, new_to_share
from draas.reconciliation.journal import Journal
from draas.reconciliation.last_good import last_good
from draas.reconciliation.observe import Observation
from draas.reconciliation.places import Places
from draas.reconciliation.request import Request
from draas.reconciliation.store import LeaseLostError, StoreError
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

UNREACHABLE_RETRY = timedelta(seconds=1)
RECHECK = timedelta(seconds=0.5)
"""How long a verification waits for news before it looks again: news are hints (B-40)."""
RECHECK_ROWS = timedelta(seconds=0.1)
"""The same, where rows differ: they were compared at one change, and waiting tells no more."""
HELD_RECHECK = timedelta(seconds=5)
"""The same, once its time is over and nobody can tell."""
STORE_RETRY = timedelta(seconds=5)

UNDECIDED = (ErrorClass.NOT_YET, ErrorClass.ALTERED, ErrorClass.INCONCLUSIVE)


def _choice(plan: Plan) -> str:
    return f"{plan.strategy}: {plan.strategy_reason}"


class Operations:
    """Begins operations and carries on with open ones, also those that a crash left."""

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        journal: Journal,
        executor: Executor,
        rules: Rules,
        counts: CycleCounts,
        places: Places,
        clock: Clock,
        metrics: DaemonMetrics,
    ) -> None:
        self._control_plane = control_plane
        self._journal = journal
        self._executor = executor
        self._rules = rules
        self._counts = counts
        self._places = places
        self._clock = clock
        self._metrics = metrics

    async def begin(
        self, state: InstanceState, plan: Plan, observation: Observation, request: Request
    ) -> datetime | None:
        """Begin what the plan says and work on it; when to look again."""
        memory = self._journal.memory(state.id)
        target = await self._target(state, plan, observation)
        comparison = await explain(self._control_plane, state, plan.drift, target, memory)
        now = self._clock.now()
        operation = Operation(
            id=self._clock.new_id(),
            instance_id=state.id,
            strategy=plan.strategy,
            phase=Phase.CHECKING,
            trigger=request.trigger,
            actor=plan.approved_by or request.actor,
            approved=plan.exact or bool(plan.approved_by),
            shared_digest=await self._shared(state, plan, target),
            by_choice=plan.by_choice,
            allow_state_loss=plan.allow_state_loss,
            cause=plan.drift.cause,
            kinds=plan.drift.kinds,
            target_digest=plan.target_digest,
            target_generation=target.generation if target else None,
            previous_digest=state.applied_digest,
            previous_generation=state.applied_generation,
            started_at=now,
            deadline=now + self._rules.reconciliation_timeout,
            phase_since=now,
            fence=self._journal.fence(state.id),
            steps=plan.steps if plan.by_choice else (_choice(plan), *plan.steps),
            summary=comparison.summary,
            differences=as_records(comparison),
            health_before=state.health,
        )
        announce.beginning(operation, self._metrics)
        await self._journal.save(operation, record.began(operation, now))
        return await self._carry_on(operation)

    async def _target(
        self, state: InstanceState, plan: Plan, observation: Observation
    ) -> Desired | None:
        try:
            memory = self._journal.memory(state.id)
            if plan.exact and memory.previous_generation is not None:
                number = memory.previous_generation
                document = await self._control_plane.generation(state.id, number)
                return None if document is None else Desired(document, plan.target_digest, number)
            if plan.restores_last_good:
                return await last_good(self._control_plane, memory)
            return observation.desired or await self._control_plane.desired(state.id)
        except ControlPlaneError:
            return None

    async def _shared(self, state: InstanceState, plan: Plan, target: Desired | None) -> str:
        """The digest of a new configuration that others may get as well."""
        forward = not (plan.exact or plan.restores_last_good)
        if target is None or not forward or DriftKind.CONFIGURATION not in plan.drift.kinds:
            return ""
        memory = self._journal.memory(state.id)
        return await new_to_share(self._control_plane, state, memory, target)

    async def resume(self, operation: Operation) -> datetime | None:
        """Go on with an operation; one that others left is first given back its time.

        So is one that seems to begin in the future: the clock was set back.
        """
        now, fence = self._clock.now(), self._journal.fence(operation.instance_id)
        if operation.fence != fence or now < operation.phase_since:
            operation = replace(resumed(operation, now), wake_at=None, fence=fence)
            await self._journal.save(operation)
        elif self._journal.owes(operation):
            await self._journal.save(operation)
        return await self._carry_on(operation)

    async def _carry_on(self, operation: Operation) -> datetime | None:
        """Work through the phases, as far as it goes now; when to go on."""
        while operation.phase is not Phase.FINISHED:
            self._journal.fence(operation.instance_id)
            strategy = STRATEGIES[operation.strategy]
            operation = self._obeying(operation)
            result = await self._step(strategy, operation)
            now = self._clock.now()
            after = strategy.advance(operation, result, self._rules, now)
            if after.strategy != operation.strategy:
                announce.fell_back(after)
            same_phase = after.phase is operation.phase
            if result.error_class is ErrorClass.ABORTED and same_phase:
                operation = replace(operation, aborted="")
                continue
            if same_phase and (result.ok or result.error_class in UNDECIDED):
                return await self._look_again(operation, after, now)
            if after.target_digest != operation.target_digest:
                after = await self._compared_anew(after)
            elif not result.ok and same_phase:
                return await self._next_attempt(after, result, now)
            if after.phase is Phase.FINISHED:
                self._journal.note(after)
                return await self._finish(after)
            await self._journal.save(after)
            if after.wake_at is not None and after.wake_at > now:
                return after.wake_at
            operation = after
        return await self._finish(operation)

    async def _step(self, strategy: Strategy, operation: Operation) -> Result:
        """What the phase asks for, unless a person wants it taken back."""
        if operation.aborted:
            return Result(error=operation.aborted, error_class=ErrorClass.ABORTED)
        return await self._executor.carry_out(strategy.command(operation, self._rules), operation)

    def _obeying(self, operation: Operation) -> Operation:
        """The operation with what a person asked of it since its last step."""
        hand = self._journal.memory(operation.instance_id).hand
        after = obeying(operation, hand)
        if after is not operation:
            emit(messages.OBEYED, instance_id=operation.instance_id, what=hand)
        return after

    async def _look_again(self, operation: Operation, after: Operation, now: datetime) -> datetime:
        """Go on verifying; one that is held gives its place back, and is audited once."""
        if not after.inconclusive:
            self._journal.note(after)
            return now + (RECHECK_ROWS if rows_differ(after) else RECHECK)
        if not operation.inconclusive:
            await self._journal.save(after, record.inconclusive(after, now))
            announce.inconclusive(after, self._metrics)
        self._journal.note(after)
        self._places.release(after.instance_id)
        return now + HELD_RECHECK

    async def _compared_anew(self, operation: Operation) -> Operation:
        """The operation with the differences of its new target to what ran before it."""
        memory = self._journal.memory(operation.instance_id)
        comparison, shared = NOTHING, ""
        try:
            state = await self._control_plane.state(operation.instance_id)
            desired = await self._control_plane.desired(operation.instance_id)
        except ControlPlaneError:
            state = None
        if state is not None and operation.previous_generation is not None:
            before = msgspec.structs.replace(
                state,
                applied_digest=operation.previous_digest,
                applied_generation=operation.previous_generation,
            )
            drift = Drift((DriftKind.CONFIGURATION,))
            comparison = await explain(self._control_plane, before, drift, desired, memory)
            shared = await new_to_share(self._control_plane, before, memory, desired)
        return replace(
            operation,
            summary=comparison.summary,
            differences=as_records(comparison),
            shared_digest=shared,
        )

    async def _next_attempt(self, operation: Operation, result: Result, now: datetime) -> datetime:
        """Wait for the time of the next attempt; others may go first meanwhile (B-43)."""
        unreachable = result.error_class is ErrorClass.UNREACHABLE
        wished = min(timedelta(seconds=result.retry_after), self._rules.backoff_maximum)
        urgent = unreachable or operation.phase is Phase.TAKING_BACK
        delay = UNREACHABLE_RETRY if urgent else max(self._rules.retry_delay, wished)
        await self._journal.save(replace(operation, wake_at=now + delay))
        if operation.phase is not Phase.TAKING_BACK:
            self._places.release(operation.instance_id)
        announce.retry(operation, result.error, delay, self._rules)
        return now + delay

    async def _finish(self, operation: Operation) -> datetime | None:
        now = self._clock.now()
        self._journal.fence(operation.instance_id)
        good, jitter = await self._good_digest(operation), self._clock.jitter()

        def end(known: Memory) -> tuple[Memory, AuditEntry]:
            memory = remember(known, operation, good, self._rules, now, jitter)
            if operation.outcome is Outcome.SUCCEEDED and memory.applied_document is not None:
                memory = replace(memory, good_document=memory.applied_document)
            return memory, record.finished(operation, memory, now)

        try:
            memory = await self._journal.finish(operation, end)
        except LeaseLostError:
            raise
        except StoreError as error:
            emit(messages.STORE_ERROR, reason=error)
            return now + STORE_RETRY
        self._places.release(operation.instance_id)
        succeeded = operation.outcome is Outcome.SUCCEEDED
        self._counts.finished(operation.instance_id, succeeded=succeeded)
        announce.end(operation, memory, self._rules, now, self._metrics)
        return now

    async def abandon(self, instance_id: str) -> None:
        """End the open operation of an instance that is gone, so that its story has an end."""
        operation = self._journal.open.get(instance_id)
        if operation is None:
            return
        now = self._clock.now()
        fence = self._journal.fence(instance_id)
        why = "the instance is gone"
        over = replace(operation, outcome=Outcome.SUPERSEDED, error=why, fence=fence)
        await self._journal.finish(over, lambda known: (known, record.finished(over, known, now)))

    async def _good_digest(self, operation: Operation) -> str | None:
        try:
            good = await last_good(self._control_plane, self._journal.memory(operation.instance_id))
        except ControlPlaneError:
            return None
        return good.digest if good else None
