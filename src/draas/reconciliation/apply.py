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
from draas.decide.health import failed
from draas.decide.validation import validate
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.operation import HealthCheck
from draas.model.reconciliation import DriftKind, Memory, Operation
from draas.model.status import Health, InstanceStatus
from draas.reconciliation import announce
from draas.reconciliation.checks import Checks, judged
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.outside import Outside
from draas.reconciliation.slots import SlotExecutor
from draas.reconciliation.store import LeaseLostError
from draas.reconciliation.targets import (
    CLEARING_SECONDS,
    OverError,
    Targets,
    cannot_tell,
    down,
    failure,
    not_yet,
    other,
)
from draas.telemetry import messages
from draas.telemetry.logs import emit

RESTORING_SECONDS = 60.0

Remember = Callable[[str, Callable[[Memory], Memory]], Awaitable[None]]


class FencedError(LeaseLostError):
    """The control plane obeyed somebody with a newer fence than `fence`."""

    def __init__(self, instance_id: str, fence: int) -> None:
        super().__init__(f"instance {instance_id!r} was taken over: fence {fence} is old")
        self.instance_id = instance_id
        self.fence = fence


class Executor:
    """Carries out commands; each is safe to repeat, has a deadline and answers with a `Result`."""

    def __init__(
        self,
        control_plane: ControlPlane,
        fleet: Fleet,
        clock: Clock,
        remember: Remember,
        outside: Outside,
        held: Callable[[str], int],
    ) -> None:
        self._control_plane = control_plane
        self._fleet = fleet
        self._targets = Targets(control_plane, fleet, clock, held)
        self._checks = Checks(control_plane, outside)
        self._slots = SlotExecutor(control_plane, self._targets, outside)
        self._remember = remember

    async def carry_out(self, command: Command, operation: Operation) -> Result:
        """How the command went, whatever the control plane does.

        Raises:
            FencedError: the instance was taken over, and the control plane knows.
            LeaseLostError: it is not held any more; no call was made since.
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
                case _:
                    return await self._slots.carry_out(command, operation)
        except OverError as over:
            return over.result
        except ControlPlaneError as error:
            if isinstance(error, RefusedError) and error.kind == "stale-fence":
                raise FencedError(operation.instance_id, operation.fence) from error
            announce.call_failed(command, operation.instance_id, error)
            return failure(error)

    async def _check(self, operation: Operation) -> Result:
        state = await self._targets.wanted(operation)
        running = state.status == InstanceStatus.RUNNING
        drift = detect(state, operation.target_digest)
        known = not running or state.applied_digest is not None
        if known and not drift and (running or not drift.unknown):
            error = drift.unknown or "nothing is wrong any more"
            return Result(error=error, error_class=ErrorClass.SUPERSEDED)
        if not running:
            return Result(health=state.health)
        checks = await self._checked_before(state)
        told = Health.UNHEALTHY.value if failed(checks) else state.health
        return Result(health=told, running=True, checks=checks)

    async def _checked_before(self, state: InstanceState) -> tuple[HealthCheck, ...]:
        """For the record alone (R-138): it is to be mended, whatever they find.

        One that is known to be bad is not asked again: it may hang, and every second counts.
        """
        if Health.parse_or_unknown(state.health) is Health.UNHEALTHY:
            return ()
        try:
            return await self._checks.of_serving(state.id)
        except UnreachableError:
            raise
        except ControlPlaneError:
            return ()

    async def _stop(self, operation: Operation) -> Result:
        emit(messages.RESTART_STOPPING_INSTANCE, instance_id=operation.instance_id)
        return Result(changed=await self._end(operation, self._targets.seconds_left(operation)))

    async def _end(self, operation: Operation, within: float) -> bool:
        await self._note_stop(operation.instance_id)
        changed = await self._control_plane.stop(
            operation.instance_id, self._targets.order(operation, "stop"), within
        )
        emit(messages.INSTANCE_STOPPED, instance_id=operation.instance_id)
        return changed

    async def _start(self, operation: Operation) -> Result:
        state = await self._targets.wanted(operation)
        target = await self._targets.target(operation)
        if target is None:
            error = "the configuration that it is to run is not kept any more"
            return Result(error=error, error_class=ErrorClass.PERMANENT)
        if target.digest != operation.target_digest:
            return other(operation, target)
        faults = validate(target.document)
        if faults:
            return Result(error=str(faults[0]), error_class=ErrorClass.PERMANENT)
        emit(messages.RESTART_STARTING_INSTANCE, instance_id=operation.instance_id)
        return await self._run(operation, state, target, self._targets.seconds_left(operation))

    async def _apply(self, operation: Operation) -> Result:
        state = await self._targets.wanted(operation)
        target = await self._targets.target(operation)
        if target is None or state.status != InstanceStatus.RUNNING:
            error = "nothing runs any more" if target else "its configuration is not kept any more"
            return Result(error=error, error_class=ErrorClass.PERMANENT)
        if target.digest != operation.target_digest:
            return other(operation, target)
        emit(messages.APPLYING_IN_PLACE, instance_id=operation.instance_id)
        await self._control_plane.apply(
            operation.instance_id,
            target.document,
            self._targets.order(operation, "apply", target.digest),
            self._targets.seconds_left(operation),
        )
        return Result(digest=target.digest, generation=target.generation)

    async def _restore(self, operation: Operation) -> Result:
        state = await self._targets.wanted(operation)
        good = await self._targets.way_back(operation)
        if good is None:
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
            self._targets.order(operation, "start", target.digest),
            within,
        )
        emit(messages.INSTANCE_STARTED, instance_id=operation.instance_id)
        await self._note_start(operation.instance_id, target)
        return Result(digest=target.digest, generation=target.generation)

    async def _verify(self, operation: Operation, restored: bool) -> Result:
        """One look: nothing is wrong any more, or what is, or that nobody can tell (B-16)."""
        try:
            state = await self._targets.wanted(operation)
            result = self._judged(operation, state, restored)
            if result.ok:
                result = judged(result, await self._checks.of_serving(operation.instance_id))
            newer = (
                None if result.ok or restored else await self._targets.overtaken(operation, state)
            )
        except UnreachableError:
            raise
        except ControlPlaneError as error:
            return cannot_tell(str(error))
        return newer or result

    def _judged(self, operation: Operation, state: InstanceState, restored: bool) -> Result:
        target = state.applied_digest if restored else operation.target_digest
        drift = detect(state, target)
        if drift.kinds == (DriftKind.OBSERVED,) and _was_praised(state):
            return Result(error=drift.cause, error_class=ErrorClass.ALTERED, running=True)
        if DriftKind.RUN_STATE in drift.kinds:
            return down(drift.cause)
        if drift.kinds:
            return not_yet(drift.cause)
        status = InstanceStatus.parse_or_unknown(state.status)
        if drift.unknown and status not in IN_TRANSITION:
            return cannot_tell(drift.unknown)
        if status is not InstanceStatus.RUNNING:
            return not_yet(f"it does not run: {state.reason or state.status}")
        if not self._control_plane.capabilities.native:
            return Result(health=state.health)
        return Result(health=state.health)

    async def _note_start(self, instance_id: str, target: Desired) -> None:
        """Against a control plane that does not keep it, remember what was sent (D-10)."""
        if not self._control_plane.capabilities.native:
            await self._remember(
                instance_id, lambda known: applied(known, target.digest, target.document)
            )

    async def _note_stop(self, instance_id: str) -> None:
        if not self._control_plane.capabilities.native:
            await self._remember(instance_id, lambda known: replace(known, stopped_by_us=True))


def _was_praised(state: InstanceState) -> bool:
    """Whether what runs was seen running well, just as it was configured."""
    return state.applied_generation is not None and (
        state.applied_generation == state.last_good_generation
    )


def applied(memory: Memory, digest: str, document: Mapping[str, Any]) -> Memory:
    """The memory after the document was sent and accepted."""
    return replace(
        memory,
        applied_digest=digest,
        applied_document=json.dumps(document),
        stopped_by_us=False,
    )
