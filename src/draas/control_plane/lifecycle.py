"""Start, stop, restart and delete: one call an instance at a time, finished whatever happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from draas.contract.problems import ProblemError
from draas.control_plane import transitions
from draas.control_plane.calls import Calls
from draas.control_plane.configurations import Configurations
from draas.control_plane.documents import Document
from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Decide, Fleet, Transition
from draas.control_plane.outcome import Outcome, outcome
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Exit, Launch, LaunchError, Platform, SlotOccupiedError
from draas.control_plane.records import SLOT, Cause, Record, Slot, put, stamp
from draas.control_plane.status import transition
from draas.model.clock import Clock
from draas.model.configuration import for_launch
from draas.model.instance import OperationInFlight
from draas.model.status import InstanceStatus, RunState

T = TypeVar("T")
Change = Callable[[str, Decide], Awaitable[Record | None]]


class Lifecycle:
    """The only one that starts and stops servers.

    A call holds its instance by `operation` in the instance's state; another one meanwhile is
    refused with instance-busy.
    `started` is told the id of each instance that came up, `operated` of a crash.
    """

    def __init__(
        self,
        fleet: Fleet,
        calls: Calls,
        finisher: Finisher,
        configurations: Configurations,
        platforms: Platforms,
        clock: Clock,
        *,
        started: Callable[[str], None],
        operated: Callable[[str, str], None],
    ) -> None:
        self._fleet = fleet
        self._calls = calls
        self._operated = operated
        self._started = started
        self._configurations = configurations
        self._platforms = platforms
        self._clock = clock
        self._finisher = finisher
        self._exits: dict[str, Exit] = {}
        platforms.watch(self._on_exit)

    async def start(
        self, instance_id: str, given: Any | None, cause: Cause, *, keep_desired: bool = False
    ) -> Outcome:
        """Run the stored configuration, or `given` instead of it, and answer once it is ready.

        Raises:
            ProblemError: invalid-configuration, instance-busy, instance-running (with another
                configuration), platform-unavailable or start-failed.
        """
        what, slot = await self._configurations.to_run(instance_id, given, cause)
        platform = self._platform(instance_id)
        mine = self._calls.begun("start", cause)
        desired = {} if keep_desired else {"desired_run_state": RunState.RUNNING.value}

        async def work() -> Outcome:
            begun = await self._begin_start(self._fleet.change, instance_id, slot, mine, desired)
            if begun.instance.operation is None:
                return outcome(begun, "start", False, "runs already with this configuration")
            return await self._launch(platform, begun, what, mine)

        return await self._calls.finish(instance_id, mine, work())

    async def stop(self, instance_id: str, cause: Cause, *, keep_desired: bool = False) -> Outcome:
        """Stop what runs; nothing running is a success too.

        Raises:
            ProblemError: instance-busy or stop-failed.
        """
        mine = self._calls.begun("stop", cause)
        desired = {} if keep_desired else {"desired_run_state": RunState.STOPPED.value}

        async def work() -> Outcome:
            begun = await self._begin_stop(instance_id, mine, desired, idle_too=False)
            if begun.instance.operation is None:
                return outcome(begun, "stop", False, "does not run")
            after, ran = await self._halt(begun, mine, keep=False)
            return outcome(after, "stop", ran, "stopped successfully")

        return await self._calls.finish(instance_id, mine, work())

    async def restart(self, instance_id: str, cause: Cause) -> Outcome:
        """Stop what runs and start the stored configuration, in one call that nothing interrupts.

        Raises:
            ProblemError: as for `start` and `stop`; what is refused is refused before the stop.
        """
        what, slot = await self._configurations.to_run(instance_id, None, cause)
        platform = self._platform(instance_id)
        mine = self._calls.begun("restart", cause)
        desired = {"desired_run_state": RunState.RUNNING.value}

        async def work() -> Outcome:
            begun = await self._begin_stop(instance_id, mine, desired, idle_too=True)
            await self._halt(begun, mine, keep=True)
            begun = await self._begin_start(
                self._finisher.settled, instance_id, slot, mine, desired
            )
            return await self._launch(platform, begun, what, mine)

        return await self._calls.finish(instance_id, mine, work())

    async def delete(self, instance_id: str, cause: Cause) -> None:
        """Stop and tear down what there is, then forget the instance (B-82).

        Raises:
            ProblemError: instance-not-found, instance-busy or stop-failed.
        """
        mine = self._calls.begun("delete", cause)
        desired = {"desired_run_state": RunState.STOPPED.value}

        async def work() -> None:
            begun = await self._begin_stop(instance_id, mine, desired, idle_too=True)
            await self._halt(begun, mine, keep=True)
            platform = self._platforms.find(begun.instance.platform_type)
            if platform is not None:
                await platform.remove(instance_id)
            now = self._calls.cause(mine)
            await self._finisher.settled(instance_id, lambda record: transition(record, None, now))

        await self._calls.finish(instance_id, mine, work())

    def _platform(self, instance_id: str) -> Platform:
        return self._platforms.available(self._fleet.get(instance_id).instance.platform_type)

    async def _begin_start(
        self,
        change: Change,
        instance_id: str,
        slot: Slot,
        mine: OperationInFlight,
        desired: Mapping[str, str],
    ) -> Record:
        cause = self._calls.cause(mine)

        def decide(record: Record | None) -> Transition:
            free = transitions.free(record, instance_id, mine)
            return transitions.starting(free, slot, mine, desired, cause)

        return await change(instance_id, decide) or self._fleet.get(instance_id)

    async def _begin_stop(
        self,
        instance_id: str,
        mine: OperationInFlight,
        desired: Mapping[str, str],
        *,
        idle_too: bool,
    ) -> Record:
        cause = self._calls.cause(mine)

        def decide(record: Record | None) -> Transition:
            free = transitions.free(record, instance_id, mine)
            if not idle_too and free.slot is None and free.instance.status in transitions.IDLE:
                idle = put(free, fence=transitions.fence(free, mine), **desired)
                return transition(free, idle, cause)
            return transitions.stopping(free, mine, desired, cause)

        return await self._fleet.change(instance_id, decide) or self._fleet.get(instance_id)

    async def _launch(
        self, platform: Platform, begun: Record, what: Document, mine: OperationInFlight
    ) -> Outcome:
        instance_id = begun.instance.id
        configuration = for_launch(what.configuration, instance_id=instance_id)
        launch = Launch(instance_id, SLOT, configuration, what.host, what.port)
        self._exits.pop(instance_id, None)
        try:
            running = await _started(platform, launch)
        except LaunchError as error:
            await self._ended(instance_id, mine, InstanceStatus.ERROR, str(error))
            raise ProblemError(
                "start-failed",
                f"instance {instance_id!r} did not start: {error}",
                exitCode=error.exit_code,
                log=list(error.log),
            ) from None
        except Exception:
            await self._ended(instance_id, mine, InstanceStatus.ERROR, "the platform failed")
            raise
        now = self._calls.cause(mine)
        record = await self._finisher.settled(
            instance_id, lambda r: transitions.ready(r, running, now) if r else Transition(None)
        )
        early = self._exits.pop(instance_id, None)
        if early is not None and early.process_id == running.process_id:
            self._on_exit(early)
        self._started(instance_id)
        return outcome(record or begun, mine.kind, True, f"{mine.kind}ed successfully")

    async def _halt(
        self, begun: Record, mine: OperationInFlight, *, keep: bool
    ) -> tuple[Record, bool]:
        """Stop the slot; with `keep` the operation goes on holding the instance."""
        instance_id = begun.instance.id
        platform = self._platforms.find(begun.instance.platform_type)
        try:
            ran = platform is not None and await platform.stop(instance_id, SLOT)
        except Exception as error:
            reason = (
                "the server survived every signal"
                if isinstance(error, TimeoutError)
                else "the platform could not stop the server"
            )
            now = self._calls.cause(mine)
            await self._finisher.settled(
                instance_id,
                lambda r: transitions.unstoppable(r, reason, now) if r else Transition(None),
            )
            raise ProblemError(
                "stop-failed", f"instance {instance_id!r}: {reason}", exitCode=None, log=[]
            ) from error
        held = mine if keep else None
        after = await self._ended(instance_id, mine, InstanceStatus.STOPPED, None, held)
        return after or begun, ran

    async def _ended(
        self,
        instance_id: str,
        mine: OperationInFlight,
        status: InstanceStatus,
        reason: str | None,
        held: OperationInFlight | None = None,
    ) -> Record | None:
        now = self._calls.cause(mine)

        def decide(record: Record | None) -> Transition:
            if record is None:
                return Transition(None)
            return transitions.ended(record, status, reason, now, operation=held)

        return await self._finisher.settled(instance_id, decide)

    def _on_exit(self, exited: Exit) -> None:
        """A slot ended by itself; a start under way looks for it in `_exits` when it is ready."""
        if exited.instance_id not in self._fleet:
            return
        record = self._fleet.get(exited.instance_id)
        if not self._fleet.is_here(record):
            return
        if record.instance.operation is not None:
            self._exits[exited.instance_id] = exited
            return
        self._operated("crash", "failure")
        cause = Cause(stamp(self._clock.now()), source="Platform")
        reason = (
            "the server ended; only the control plane that started it could know its exit code"
            if exited.exit_code is None
            else f"the server ended with exit code {exited.exit_code}"
        )
        self._finisher.spawn(
            self._finisher.settled(
                exited.instance_id,
                lambda record: transitions.exited(record, exited.process_id, reason, cause),
            )
        )


async def _started(platform: Platform, launch: Launch) -> Any:
    """Start the slot; what occupies it is a leftover of ours, since the records say none runs."""
    try:
        return await platform.start(launch)
    except SlotOccupiedError:
        await platform.stop(launch.instance_id, launch.slot)
    try:
        return await platform.start(launch)
    except SlotOccupiedError as error:
        raise LaunchError(str(error)) from None
