"""Start, stop, restart and delete: one call an instance at a time, finished whatever happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.contract.slots import MAIN, other
from draas.control_plane import transitions
from draas.control_plane.calls import Calls
from draas.control_plane.configurations import Configurations
from draas.control_plane.documents import Document
from draas.control_plane.finisher import Finisher
from draas.control_plane.fleet import Decide, Fleet, Transition
from draas.control_plane.halting import Halting
from draas.control_plane.outcome import Outcome, outcome, start_failed
from draas.control_plane.placing import OvertakenError, Placing
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Launch, LaunchError, Platform, Running
from draas.control_plane.preconditions import Precondition, unconditional
from draas.control_plane.records import Cause, Record, Slot, address
from draas.control_plane.status import transition
from draas.control_plane.traffic import Traffic
from draas.model.configuration import Configuration, for_launch
from draas.model.instance import OperationInFlight
from draas.model.status import InstanceStatus, RunState

Change = Callable[[str, Decide], Awaitable[Record | None]]


class Lifecycle:
    """The only one that starts and stops servers.

    A call holds its instance by `operation` in the instance's state; another one meanwhile is
    refused with instance-busy.
    `started` is told the id of each instance that came up.
    """

    def __init__(
        self,
        fleet: Fleet,
        calls: Calls,
        finisher: Finisher,
        configurations: Configurations,
        platforms: Platforms,
        placing: Placing,
        traffic: Traffic,
        *,
        started: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._calls = calls
        self._started = started
        self._configurations = configurations
        self._platforms = platforms
        self._placing = placing
        self._traffic = traffic
        self._finisher = finisher
        self._halting = Halting(fleet, calls, finisher, platforms, traffic)

    async def start(
        self, instance_id: str, given: Any | None, cause: Cause, *, keep_desired: bool = False
    ) -> Outcome:
        """Run the stored configuration, or `given` instead of it, and answer once it is ready.

        A second slot whose serving one has ended goes first: it may lead.

        Raises:
            ProblemError: invalid-configuration, instance-busy, instance-running (with another
                configuration), stopped-by-user, platform-unavailable or start-failed.
        """
        what, slot = await self._configurations.to_run(instance_id, given, cause)
        platform = self._platform(instance_id)
        mine = self._calls.begun("start", cause)
        desired = {} if keep_desired else {"desired_run_state": RunState.RUNNING.value}

        async def work() -> Outcome:
            change: Change = self._fleet.change
            present = self._fleet.get(instance_id)
            if present.slot is None and present.spare is not None:
                begun = await self._halting.begin(instance_id, mine, desired, idle_too=True)
                await self._halting.halt(begun, mine, keep=True, hand_over=True)
                change = self._finisher.settled
            return await self._run(change, platform, instance_id, slot, what, mine, desired)

        return await self._calls.finish(instance_id, mine, work())

    async def stop(self, instance_id: str, cause: Cause, *, keep_desired: bool = False) -> Outcome:
        """Stop what runs; nothing running is a success too.

        Raises:
            ProblemError: instance-busy or stop-failed.
        """
        mine = self._calls.begun("stop", cause)
        desired = {} if keep_desired else {"desired_run_state": RunState.STOPPED.value}

        async def work() -> Outcome:
            begun = await self._halting.begin(instance_id, mine, desired, idle_too=False)
            if begun.instance.operation is None:
                return outcome(begun, "stop", False, "does not run")
            after, ran = await self._halting.halt(begun, mine, hand_over=keep_desired)
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
            begun = await self._halting.begin(instance_id, mine, desired, idle_too=True)
            await self._halting.halt(begun, mine, keep=True, hand_over=True)
            return await self._run(
                self._finisher.settled, platform, instance_id, slot, what, mine, desired
            )

        return await self._calls.finish(instance_id, mine, work())

    async def delete(
        self, instance_id: str, cause: Cause, allowed: Precondition = unconditional
    ) -> None:
        """Stop and tear down what there is, then forget the instance (B-82).

        Raises:
            ProblemError: instance-not-found, instance-busy or stop-failed; or what `allowed`
                raises, and nothing was touched.
        """
        mine = self._calls.begun("delete", cause)
        desired = {"desired_run_state": RunState.STOPPED.value}

        async def work() -> None:
            begun = await self._halting.begin(
                instance_id, mine, desired, idle_too=True, allowed=allowed
            )
            await self._halting.halt(begun, mine, keep=True)
            platform = self._platforms.find(begun.instance.platform_type)
            if platform is not None:
                await platform.remove(instance_id)
            now = self._calls.cause(mine)
            await self._finisher.settled(instance_id, lambda record: transition(record, None, now))

        await self._calls.finish(instance_id, mine, work())

    def _platform(self, instance_id: str) -> Platform:
        return self._platforms.available(self._fleet.get(instance_id).instance.platform_type)

    async def _run(
        self,
        change: Change,
        platform: Platform,
        instance_id: str,
        slot: Slot,
        what: Document,
        mine: OperationInFlight,
        desired: Mapping[str, str],
    ) -> Outcome:
        """Run the slot; where the very same runs already, only what is desired changes."""
        cause = self._calls.cause(mine)

        def begin(record: Record | None, placed: Slot) -> Transition:
            free = transitions.free(record, instance_id, mine)
            return transitions.starting(free, placed, mine, desired, cause)

        begun, configuration = await self._place(change, instance_id, slot, what, begin)
        if begun.instance.operation is None:
            return outcome(begun, "start", False, "runs already with this configuration")
        try:
            try:
                running = await self._up(platform, begun, configuration)
            except OvertakenError:
                begun, configuration = await self._place(
                    self._finisher.settled,
                    instance_id,
                    slot,
                    what,
                    lambda record, placed: transitions.placed_anew(record, placed, cause),
                )
                running = await self._up(platform, begun, configuration)
        except LaunchError as error:
            told = self._with_holder(begun, error)
            await self._failed(instance_id, mine, f"did not start: {told}")
            raise start_failed(instance_id, told) from None
        except Exception:
            await self._failed(instance_id, mine, "did not start: the platform failed")
            raise
        return await self._came_up(begun, running, mine)

    async def _place(
        self,
        change: Change,
        instance_id: str,
        slot: Slot,
        what: Document,
        decide: Callable[[Record | None, Slot], Transition],
    ) -> tuple[Record, Configuration]:
        """Record the slot where it is to listen; with it what it is to be started with."""
        spare = self._fleet.get(instance_id).spare
        named = msgspec.structs.replace(slot, name=other(spare.name) if spare else MAIN)
        with self._placing.placed(named, what) as (placed, configuration):
            record = await change(instance_id, lambda record: decide(record, placed))
        return record or self._fleet.get(instance_id), configuration

    async def _up(self, platform: Platform, begun: Record, configuration: Configuration) -> Running:
        """Bring the serving slot up, reached by clients.

        Raises:
            LaunchError: it did not come up.
        """
        instance_id, slot = begun.instance.id, begun.slot
        assert slot is not None
        document = for_launch(configuration, instance_id=instance_id)
        launch = Launch(instance_id, slot.name, document, slot.host, slot.port)
        running = await self._placing.start(platform, launch, slot)
        await self._route(platform, begun, running)
        return running

    async def _came_up(self, begun: Record, running: Running, mine: OperationInFlight) -> Outcome:
        now, instance_id = self._calls.cause(mine), begun.instance.id
        record = await self._finisher.settled(
            instance_id, lambda r: transitions.ready(r, running, now) if r else Transition(None)
        )
        self._started(instance_id)
        return outcome(record or begun, mine.kind, True, f"{mine.kind}ed successfully")

    async def _route(self, platform: Platform, begun: Record, running: Running) -> None:
        """Let clients reach what came up; what they cannot reach has not been started.

        Raises:
            LaunchError: they cannot; nothing runs any more.
        """
        try:
            await self._traffic.direct(begun)
        except ProblemError as error:
            await platform.stop(running.instance_id, running.slot)
            await self._traffic.withdraw(running.instance_id)
            of_instance = f"instance {running.instance_id!r}: "
            raise LaunchError(error.detail.removeprefix(of_instance)) from None

    def _with_holder(self, begun: Record, error: LaunchError) -> LaunchError:
        """The error with the instance that has the port of this one, where it is one of ours."""
        port = address(begun.slot)[1] if begun.slot else 0
        if not port or str(port) not in str(error):
            return error
        for other_one in self._fleet:
            if other_one.instance.id == begun.instance.id or other_one.slot is None:
                continue
            if address(other_one.slot)[1] == port:
                text = f"{error}; instance {other_one.instance.id!r} has port {port}"
                return LaunchError(text, exit_code=error.exit_code, log=error.log)
        return error

    async def _failed(self, instance_id: str, mine: OperationInFlight, reason: str) -> None:
        now = self._calls.cause(mine)

        def decide(record: Record | None) -> Transition:
            if record is None:
                return Transition(None)
            return transitions.ended(record, InstanceStatus.ERROR, reason, now)

        await self._finisher.settled(instance_id, decide)
