"""The end of all slots of an instance; what their sources have brought is kept where asked."""

from __future__ import annotations

from collections.abc import Mapping

from draas.contract.problems import ProblemError
from draas.contract.slots import MAIN, SECOND
from draas.control_plane import transitions
from draas.control_plane.calls import Calls
from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Fleet, Transition
from draas.control_plane.platforms import Platforms
from draas.control_plane.preconditions import Precondition, unconditional
from draas.control_plane.records import Record, put
from draas.control_plane.status import transition
from draas.control_plane.traffic import Traffic
from draas.model.instance import OperationInFlight


class Halting:
    """Stops what runs, for the calls of `Lifecycle` that hold the instance."""

    def __init__(
        self,
        fleet: Fleet,
        calls: Calls,
        finisher: Finisher,
        platforms: Platforms,
        traffic: Traffic,
    ) -> None:
        self._fleet = fleet
        self._calls = calls
        self._finisher = finisher
        self._platforms = platforms
        self._traffic = traffic

    async def begin(
        self,
        instance_id: str,
        mine: OperationInFlight,
        desired: Mapping[str, str],
        *,
        idle_too: bool,
        allowed: Precondition = unconditional,
    ) -> Record:
        """Hold the instance for its stop; where nothing runs only with `idle_too`.

        Raises:
            ProblemError: instance-not-found, stale-fence, instance-busy, or what `allowed` raises.
        """
        cause = self._calls.cause(mine)

        def decide(record: Record | None) -> Transition:
            free = transitions.free(record, instance_id, mine)
            allowed(free.instance)
            nothing_runs = free.slot is None and free.spare is None
            if not idle_too and nothing_runs and free.instance.status in transitions.IDLE:
                idle = put(free, fence=transitions.fence(free, mine), **desired)
                return transition(free, idle, cause)
            return transitions.stopping(free, mine, desired, cause)

        return await self._fleet.change(instance_id, decide) or self._fleet.get(instance_id)

    async def halt(
        self, begun: Record, mine: OperationInFlight, *, keep: bool = False, hand_over: bool = False
    ) -> tuple[Record, bool]:
        """Stop all slots; with `keep` the operation goes on holding the instance.

        With `hand_over` what the sources have brought is kept for the next start.

        Raises:
            ProblemError: stop-failed.
        """
        instance_id = begun.instance.id
        platform = self._platforms.find(begun.instance.platform_type)
        known = begun.slot or begun.spare
        serving = known.name if known else MAIN
        ran = False
        try:
            await self._traffic.withdraw(instance_id)
            if platform is not None:
                for name in (MAIN, SECOND):
                    keeps = hand_over and name == serving
                    ran |= await platform.stop(instance_id, name, keep_data=keeps)
        except Exception as error:
            reason = _why_not_stopped(error)
            now = self._calls.cause(mine)
            await self._finisher.settled(
                instance_id,
                lambda r: transitions.unstoppable(r, reason, now) if r else Transition(None),
            )
            raise ProblemError(
                "stop-failed", f"instance {instance_id!r}: {reason}", exitCode=None, log=[]
            ) from error
        after = await self._halted(instance_id, mine, mine if keep else None)
        return after or begun, ran

    async def _halted(
        self, instance_id: str, mine: OperationInFlight, held: OperationInFlight | None
    ) -> Record | None:
        now = self._calls.cause(mine)

        def decide(record: Record | None) -> Transition:
            if record is None:
                return Transition(None)
            return transitions.halted(record, now, operation=held)

        return await self._finisher.settled(instance_id, decide)


def _why_not_stopped(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server survived every signal"
    if isinstance(error, ProblemError):
        return error.detail
    return "the platform could not stop the server"
