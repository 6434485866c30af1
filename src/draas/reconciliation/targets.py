"""What an operation is to bring, and whether there still is anything to bring it to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from draas.client.port import (
    ControlPlane,
    ControlPlaneError,
    Desired,
    Order,
    RefusedError,
    UnreachableError,
)
from draas.decide.commands import ErrorClass, Result
from draas.decide.strategies.watching import comparison_due
from draas.model.clock import Clock
from draas.model.instance import InstanceState
from draas.model.reconciliation import Operation
from draas.model.status import RunState
from draas.reconciliation.fleet import Fleet, with_memory
from draas.reconciliation.last_good import last_good
from draas.telemetry import messages
from draas.telemetry.logs import emit

CLEARING_SECONDS = 60.0
IMPOSSIBLE = "two-slots-impossible"


class OverError(Exception):
    """There is nothing to work on any more; `result` says why."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.error)
        self.result = result


class Targets:
    """What operations aim at: an instance as it is, and the configuration that it should get.

    `held` tells the fence under which an instance is held, and raises LeaseLostError if it is not.
    """

    def __init__(
        self, control_plane: ControlPlane, fleet: Fleet, clock: Clock, held: Callable[[str], int]
    ) -> None:
        self._control_plane = control_plane
        self._fleet = fleet
        self._clock = clock
        self._held = held

    async def wanted(self, operation: Operation) -> InstanceState:
        """The instance as it is now, if it is there and its user did not stop it meanwhile.

        Between two calls a user may stop what is started next; then it is stopped here, for good,
        whatever its status: that may be older than what was started.

        Raises:
            OverError: the operation has lost its object.
        """
        instance_id = operation.instance_id
        state = await self._control_plane.state(instance_id)
        if state is None:
            emit(messages.INSTANCE_NOT_FOUND, instance_id=instance_id)
            raise OverError(Result(error="the instance is gone", error_class=ErrorClass.GONE))
        native = self._control_plane.capabilities.native
        if native and state.desired_run_state == RunState.STOPPED:
            await self._control_plane.stop(
                instance_id, self.order(operation, "clear"), CLEARING_SECONDS
            )
            error = "its user stopped it"
            raise OverError(Result(error=error, error_class=ErrorClass.SUPERSEDED))
        return with_memory(state, self._fleet.memory(instance_id))

    async def target(self, operation: Operation) -> Desired | None:
        """The desired configuration, or the last good one if the desired is in quarantine.

        What was approved is brought as it was, even if something newer is desired by now.
        """
        desired = await self._control_plane.desired(operation.instance_id)
        if operation.approved and desired.digest != operation.target_digest:
            return await self._approved(operation)
        if self._fleet.memory(operation.instance_id).quarantine_of(desired.digest) is None:
            return desired
        return await self.last_good(operation.instance_id)

    async def _approved(self, operation: Operation) -> Desired | None:
        """The target of an operation that must bring nothing else, as far as it is kept."""
        good = await self.last_good(operation.instance_id)
        if good is not None and good.digest == operation.target_digest:
            return good
        number = operation.target_generation
        if number is None:
            return None
        document = await self._control_plane.generation(operation.instance_id, number)
        return None if document is None else Desired(document, operation.target_digest, number)

    async def last_good(self, instance_id: str) -> Desired | None:
        """The configuration to go back to."""
        return await last_good(self._control_plane, self._fleet.memory(instance_id))

    async def way_back(self, operation: Operation) -> Desired | None:
        """What to go back to: the last good configuration, or what ran before the target (R-137).

        The latter where the target counts as good: it was seen healthy, and that did not last.
        """
        good = await self.last_good(operation.instance_id)
        if good is None or good.digest != operation.target_digest:
            return good
        number, before = operation.previous_generation, operation.previous_digest
        if not operation.permanent or number is None or before is None or before == good.digest:
            return None
        if self._fleet.memory(operation.instance_id).quarantine_of(before):
            return None
        document = await self._control_plane.generation(operation.instance_id, number)
        return None if document is None else Desired(document, before, number)

    async def overtaken(self, operation: Operation, state: InstanceState) -> Result | None:
        """The result where something newer is desired, which is tried instead of the target.

        What was approved is brought all the same; but it ends where nobody can tell how it does:
        what is newer waits for an approval of its own, and it would wait for ever.
        """
        held = self._fleet.memory(state.id).quarantine_of(state.desired_digest)
        if held or state.desired_digest == operation.target_digest:
            return None
        if operation.approved and not operation.inconclusive:
            return None
        desired = await self._control_plane.desired(state.id)
        if desired.digest == operation.target_digest or is_older(desired, operation):
            return None
        newer = other(operation, desired)
        return replace(newer, digest=None, generation=None) if operation.approved else newer

    def order(self, operation: Operation, action: str, digest: str = "") -> Order:
        """What a call that changes something is made with: none is, once the lease is lost.

        The same attempt at the same thing has the same key, and only under the same fence.

        Raises:
            LeaseLostError: the instance is not held any more, or not without a break.
        """
        self._held(operation.instance_id)
        at = f"{operation.phase.value}/{operation.attempt}/{operation.fence}"
        if operation.round:
            at += f"/{operation.round}"
        return Order(operation.id, operation.fence, f"{operation.id}/{at}/{action}/{digest[7:23]}")

    def comparison_due(self, operation: Operation) -> bool:
        """Whether a look at the operation's candidate is to compare rows by now."""
        return comparison_due(operation, self._clock.now())

    def seconds_left(self, operation: Operation) -> float:
        """What is left of the operation's time, and a second at least."""
        left = (operation.deadline - self._clock.now()).total_seconds()
        return max(left, 1.0)


def not_yet(error: str) -> Result:
    """Something is wrong that may still come right."""
    return Result(error=error, error_class=ErrorClass.NOT_YET, running=True)


def down(error: str) -> Result:
    """Nothing serves the instance, and nobody is about to change that."""
    return Result(error=error, error_class=ErrorClass.DOWN)


def cannot_tell(error: str) -> Result:
    """Nobody knows: neither a pass nor a failure."""
    return Result(error=error, error_class=ErrorClass.INCONCLUSIVE)


def is_older(desired: Desired, operation: Operation) -> bool:
    """Whether what was read is from before the operation's target."""
    known, told = operation.target_generation, desired.generation
    return known is not None and told is not None and told < known


def other(operation: Operation, desired: Desired) -> Result:
    """Something else is desired than the target; as generations only grow, an old answer shows."""
    if is_older(desired, operation):
        error = "an old answer: the desired configuration was newer before"
        return Result(error=error, error_class=ErrorClass.TRANSIENT)
    return Result(
        error="a newer desired configuration replaced the target",
        error_class=ErrorClass.SUPERSEDED,
        digest=desired.digest,
        generation=desired.generation,
    )


def failure(error: ControlPlaneError) -> Result:
    """The error as a result: what kind it is decides what comes next (B-60)."""
    if isinstance(error, UnreachableError):
        return Result(error=str(error), error_class=ErrorClass.UNREACHABLE)
    if isinstance(error, RefusedError):
        if error.kind == "instance-not-found":
            return Result(error=error.detail, error_class=ErrorClass.GONE)
        if error.kind == IMPOSSIBLE:
            return Result(error=error.detail, error_class=ErrorClass.IMPOSSIBLE)
        if not error.transient:
            return Result(error=error.detail, error_class=ErrorClass.PERMANENT)
        return Result(
            error=error.detail,
            error_class=ErrorClass.TRANSIENT,
            retry_after=error.retry_after or 0.0,
        )
    return Result(error=str(error), error_class=ErrorClass.TRANSIENT)
