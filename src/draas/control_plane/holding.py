"""Holds a running instance for a call on its slots, and records each step of that call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from draas.control_plane import slot_transitions
from draas.control_plane.calls import Calls
from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Decide, Fleet, Transition
from draas.control_plane.records import Cause, Record
from draas.model.instance import OperationInFlight

Step = Callable[[Record, Cause], Transition]


class Holding:
    """What the calls of `Slots` have in common."""

    def __init__(self, fleet: Fleet, calls: Calls, finisher: Finisher) -> None:
        self._fleet = fleet
        self._calls = calls
        self._finisher = finisher

    async def hold(
        self,
        instance_id: str,
        kind: str,
        cause: Cause,
        work: Callable[[Record, OperationInFlight], Awaitable[Record]],
        *,
        successor: str = "",
    ) -> Record:
        """Hold the running instance for the work, or one whose `successor` runs on alone.

        Raises:
            ProblemError: instance-not-found, stale-fence, instance-busy or instance-not-running.
        """
        mine = self._calls.begun(kind, cause)
        now = self._calls.cause(mine)

        async def whole() -> Record:
            held = await self._fleet.change(
                instance_id,
                lambda r: slot_transitions.holding(r, instance_id, mine, now, successor),
            )
            return await work(held or self._fleet.get(instance_id), mine)

        return await self._calls.finish(instance_id, mine, whole())

    async def change(self, instance_id: str, mine: OperationInFlight, step: Step) -> Record:
        """Record what is about to be done; refused where it may not be."""
        return await self._made(self._fleet.change, instance_id, mine, step)

    async def settled(self, instance_id: str, mine: OperationInFlight, step: Step) -> Record:
        """Record what has happened already, however long that takes."""
        return await self._made(self._finisher.settled, instance_id, mine, step)

    async def _made(
        self,
        change: Callable[[str, Decide], Awaitable[Record | None]],
        instance_id: str,
        mine: OperationInFlight,
        step: Step,
    ) -> Record:
        now = self._calls.cause(mine)
        record = await change(instance_id, lambda r: step(r, now) if r else Transition(None))
        return record or self._fleet.get(instance_id)
