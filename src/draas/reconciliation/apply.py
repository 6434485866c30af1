"""Carry out a strategy's commands through the control plane: observe, then ensure."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from draas.client.port import (
    ControlPlane,
    ControlPlaneError,
    Desired,
    Order,
    RefusedError,
    UnreachableError,
)
from draas.decide.commands import (
    Apply,
    Check,
    Command,
    ErrorClass,
    Restore,
    Result,
    Start,
    Stop,
    Verify,
)
from draas.decide.detect import IN_TRANSITION, detect
from draas.decide.validation import validate
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import Memory, Operation
from draas.model.status import Health, InstanceStatus, RunState
from draas.reconciliation import announce
from draas.reconciliation.fleet import Fleet, with_memory
from draas.reconciliation.last_good import last_good
from draas.reconciliation.store import LeaseLostError
from draas.telemetry import messages
from draas.telemetry.logs import emit

RESTORING_SECONDS = 60.0
CLEARING_SECONDS = 60.0

Remember = Callable[[Memory], Awaitable[None]]


class FencedError(LeaseLostError):
    """The control plane obeyed somebody with a newer fence than `fence`."""

    def __init__(self, instance_id: str, fence: int) -> None:
        super().__init__(f"instance {instance_id!r} was taken over: fence {fence} is old")
        self.instance_id = instance_id
        self.fence = fence


class _OverError(Exception):
    """There is nothing to work on any more; `result` says why."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.error)
        self.result = result


class Executor:
    """Carries out commands; each is safe to repeat, has a deadline and answers with a `Result`."""

    def __init__(
        self,
        control_plane: ControlPlane,
        fleet: Fleet,
        clock: Clock,
        remember: Remember,
    ) -> None:
        self._control_plane = control_plane
        self._fleet = fleet
        self._clock = clock
        self._remember = remember

    async def carry_out(self, command: Command, operation: Operation) -> Result:
        """How the command went, whatever the control plane does.

        Raises:
            FencedError: the instance was taken over, and the control plane knows.
        """
        try:
            match command:
                case Check():
                    return await self._check(operation)
                case Stop():
                    return await self._stop(operation)
                case Start():
                    return await self._start(operation)
                case Apply():
                    return await self._apply(operation)
                case Restore():
                    return await self._restore(operation)
                case Verify(restored):
                    return await self._verify(operation, restored)
        except _OverError as over:
            return over.result
        except ControlPlaneError as error:
            if isinstance(error, RefusedError) and error.kind == "stale-fence":
                raise FencedError(operation.instance_id, operation.fence) from error
            announce.call_failed(command, operation.instance_id, error)
            return failure(error)

    async def _check(self, operation: Operation) -> Result:
        state = await self._wanted(operation)
        running = state.status == InstanceStatus.RUNNING
        drift = detect(state, operation.target_digest)
        known = not running or state.applied_digest is not None
        if known and not drift and not drift.unknown:
            error = "nothing is wrong any more"
            return Result(error=error, error_class=ErrorClass.SUPERSEDED)
        return Result(health=state.health, running=running)

    async def _wanted(self, operation: Operation) -> InstanceState:
        """The instance as it is now, if it is there and its user did not stop it meanwhile.

        Between two calls a user may stop what is started next; then it is stopped here, for good,
        whatever its status: that may be older than what was started.

        Raises:
            _OverError: the operation has lost its object.
        """
        instance_id = operation.instance_id
        state = await self._control_plane.state(instance_id)
        if state is None:
            emit(messages.INSTANCE_NOT_FOUND, instance_id=instance_id)
            raise _OverError(Result(error="the instance is gone", error_class=ErrorClass.GONE))
        native = self._control_plane.capabilities.native
        if native and state.desired_run_state == RunState.STOPPED:
            await self._control_plane.stop(
                instance_id, _order(operation, "clear"), CLEARING_SECONDS
            )
            error = "its user stopped it"
            raise _OverError(Result(error=error, error_class=ErrorClass.SUPERSEDED))
        return with_memory(state, self._fleet.memory(instance_id))

    async def _stop(self, operation: Operation) -> Result:
        emit(messages.RESTART_STOPPING_INSTANCE, instance_id=operation.instance_id)
        return Result(changed=await self._end(operation, self._seconds_left(operation)))

    async def _end(self, operation: Operation, within: float) -> bool:
        await self._note_stop(operation.instance_id)
        changed = await self._control_plane.stop(
            operation.instance_id, _order(operation, "stop"), within
        )
        emit(messages.INSTANCE_STOPPED, instance_id=operation.instance_id)
        return changed

    async def _start(self, operation: Operation) -> Result:
        state = await self._wanted(operation)
        target = await self._target(operation)
        if target is None:
            error = "the configuration that it is to run is not kept any more"
            return Result(error=error, error_class=ErrorClass.PERMANENT)
        if target.digest != operation.target_digest:
            return _other(operation, target)
        faults = validate(target.document)
        if faults:
            return Result(error=str(faults[0]), error_class=ErrorClass.PERMANENT)
        emit(messages.RESTART_STARTING_INSTANCE, instance_id=operation.instance_id)
        return await self._run(operation, state, target, self._seconds_left(operation))

    async def _apply(self, operation: Operation) -> Result:
        state = await self._wanted(operation)
        target = await self._target(operation)
        if target is None or state.status != InstanceStatus.RUNNING:
            error = "nothing runs any more" if target else "its configuration is not kept any more"
            return Result(error=error, error_class=ErrorClass.PERMANENT)
        if target.digest != operation.target_digest:
            return _other(operation, target)
        emit(messages.APPLYING_IN_PLACE, instance_id=operation.instance_id)
        await self._control_plane.apply(
            operation.instance_id,
            target.document,
            _order(operation, "apply", target.digest),
            self._seconds_left(operation),
        )
        return Result(digest=target.digest, generation=target.generation)

    async def _target(self, operation: Operation) -> Desired | None:
        """The desired configuration, or the last good one if the desired is in quarantine.

        What was approved is brought as it was, even if something newer is desired by now.
        """
        desired = await self._control_plane.desired(operation.instance_id)
        if operation.approved and desired.digest != operation.target_digest:
            return await self._approved(operation)
        if self._fleet.memory(operation.instance_id).quarantine_of(desired.digest) is None:
            return desired
        return await self._last_good(operation.instance_id)

    async def _approved(self, operation: Operation) -> Desired | None:
        """The target of an operation that must bring nothing else, as far as it is kept."""
        good = await self._last_good(operation.instance_id)
        if good is not None and good.digest == operation.target_digest:
            return good
        number = operation.target_generation
        if number is None:
            return None
        document = await self._control_plane.generation(operation.instance_id, number)
        return None if document is None else Desired(document, operation.target_digest, number)

    async def _last_good(self, instance_id: str) -> Desired | None:
        return await last_good(self._control_plane, self._fleet.memory(instance_id))

    async def _restore(self, operation: Operation) -> Result:
        state = await self._wanted(operation)
        good = await self._last_good(operation.instance_id)
        if good is None or good.digest == operation.target_digest:
            error = "there is no other good configuration"
            return Result(error=error, error_class=ErrorClass.PERMANENT, has_last_good=False)
        return await self._run(operation, state, good, RESTORING_SECONDS)

    async def _run(
        self, operation: Operation, state: InstanceState, target: Desired, within: float
    ) -> Result:
        """See that the target runs; whatever else runs by now gives way to it."""
        if state.status == InstanceStatus.RUNNING and state.applied_digest != target.digest:
            await self._end(operation, CLEARING_SECONDS)
        await self._control_plane.start(
            operation.instance_id,
            target.document,
            _order(operation, "start", target.digest),
            within,
        )
        emit(messages.INSTANCE_STARTED, instance_id=operation.instance_id)
        await self._note_start(operation.instance_id, target)
        return Result(digest=target.digest, generation=target.generation)

    async def _verify(self, operation: Operation, restored: bool) -> Result:
        """One look: nothing is wrong any more, or what is, or that nobody can tell (B-16)."""
        try:
            state = await self._wanted(operation)
            result = self._judged(operation, state, restored)
            newer = None if result.ok or restored else await self._replacement(operation, state)
        except UnreachableError:
            raise
        except ControlPlaneError as error:
            return _cannot_tell(str(error))
        return result if newer is None else _other(operation, newer)

    async def _replacement(self, operation: Operation, state: InstanceState) -> Desired | None:
        """The desired configuration, if it is to be tried instead of the target."""
        held = self._fleet.memory(state.id).quarantine_of(state.desired_digest)
        if operation.approved or held or state.desired_digest == operation.target_digest:
            return None
        desired = await self._control_plane.desired(state.id)
        same = desired.digest == operation.target_digest
        return None if same or _is_older(desired, operation) else desired

    def _judged(self, operation: Operation, state: InstanceState, restored: bool) -> Result:
        target = state.applied_digest if restored else operation.target_digest
        drift = detect(state, target)
        if drift.kinds:
            return _not_yet(drift.cause)
        status = InstanceStatus.parse_or_unknown(state.status)
        if drift.unknown and status not in IN_TRANSITION:
            return _cannot_tell(drift.unknown)
        if status is not InstanceStatus.RUNNING:
            return _not_yet(f"it does not run: {state.reason or state.status}")
        if not self._control_plane.capabilities.native:
            return Result(health=state.health)
        if Health.parse_or_unknown(state.health) is not Health.HEALTHY:
            return _cannot_tell(state.reason or f"health is {state.health}")
        if state.observed_components_digest is None:
            return _cannot_tell("what the server runs has not been observed")
        return Result(health=state.health)

    async def _note_start(self, instance_id: str, target: Desired) -> None:
        """Against a control plane that does not keep it, remember what was sent (D-10)."""
        if not self._control_plane.capabilities.native:
            await self._remember(
                applied(self._fleet.memory(instance_id), target.digest, target.document)
            )

    async def _note_stop(self, instance_id: str) -> None:
        if not self._control_plane.capabilities.native:
            memory = self._fleet.memory(instance_id)
            await self._remember(replace(memory, stopped_by_us=True))

    def _seconds_left(self, operation: Operation) -> float:
        left = (operation.deadline - self._clock.now()).total_seconds()
        return max(left, 1.0)


def _order(operation: Operation, action: str, digest: str = "") -> Order:
    """The same attempt at the same thing has the same key, and only under the same fence."""
    at = f"{operation.phase.value}/{operation.attempt}/{operation.fence}"
    return Order(operation.id, operation.fence, f"{operation.id}/{at}/{action}/{digest[7:23]}")


def _not_yet(error: str) -> Result:
    return Result(error=error, error_class=ErrorClass.NOT_YET)


def _cannot_tell(error: str) -> Result:
    return Result(error=error, error_class=ErrorClass.INCONCLUSIVE)


def _is_older(desired: Desired, operation: Operation) -> bool:
    known, told = operation.target_generation, desired.generation
    return known is not None and told is not None and told < known


def _other(operation: Operation, desired: Desired) -> Result:
    """Something else is desired than the target; as generations only grow, an old answer shows."""
    if _is_older(desired, operation):
        error = "an old answer: the desired configuration was newer before"
        return Result(error=error, error_class=ErrorClass.TRANSIENT)
    return Result(
        error="a newer desired configuration replaced the target",
        error_class=ErrorClass.SUPERSEDED,
        digest=desired.digest,
        generation=desired.generation,
    )


def applied(memory: Memory, digest: str, document: Mapping[str, Any]) -> Memory:
    """The memory after the document was sent and accepted."""
    return replace(
        memory,
        applied_digest=digest,
        applied_document=json.dumps(document),
        stopped_by_us=False,
    )


def failure(error: ControlPlaneError) -> Result:
    """The error as a result: what kind it is decides what comes next (B-60)."""
    if isinstance(error, UnreachableError):
        return Result(error=str(error), error_class=ErrorClass.UNREACHABLE)
    if isinstance(error, RefusedError):
        if error.kind == "instance-not-found":
            return Result(error=error.detail, error_class=ErrorClass.GONE)
        if not error.transient:
            return Result(error=error.detail, error_class=ErrorClass.PERMANENT)
        return Result(
            error=error.detail,
            error_class=ErrorClass.TRANSIENT,
            retry_after=error.retry_after or 0.0,
        )
    return Result(error=str(error), error_class=ErrorClass.TRANSIENT)
