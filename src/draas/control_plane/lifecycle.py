"""Start, stop, restart and delete: one call an instance at a time, finished whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane.configurations import Configurations
from draas.control_plane.documents import Document, document, stored
from draas.control_plane.fleet import Fleet, Transition, absent
from draas.control_plane.ports import (
    Exit,
    Launch,
    LaunchError,
    Platform,
    Running,
    SlotOccupiedError,
)
from draas.control_plane.records import SLOT, Cause, Record, Slot, put
from draas.control_plane.status import transition
from draas.control_plane.store import StoreError
from draas.model.clock import Clock
from draas.model.configuration import for_launch
from draas.model.instance import OperationInFlight
from draas.model.status import InstanceStatus, PlatformType, RunState

T = TypeVar("T")
STORE_RETRY = 0.5
"""Seconds until a result that could not be stored is tried again."""


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """The contract's `Lifecycle`: what a lifecycle call did."""

    instance_id: str
    action: str
    changed: bool
    status: str
    message: str
    process_id: str | None
    port: int | None


class Lifecycle:
    """The only one that starts and stops servers.

    A call holds its instance by `operation` in the instance's state; another one meanwhile is
    refused with instance-busy. Once begun, a call is finished though its client goes away.
    """

    def __init__(
        self,
        fleet: Fleet,
        configurations: Configurations,
        platforms: Mapping[PlatformType, Platform],
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._configurations = configurations
        self._platforms = platforms
        self._clock = clock
        self._under_way: set[asyncio.Task[Any]] = set()
        self._early_exits: dict[str, Exit] = {}
        for platform in platforms.values():
            platform.watch(self._on_exit)

    async def start(
        self, instance_id: str, given: Any | None, cause: Cause, *, keep_desired: bool = False
    ) -> Outcome:
        """Run the stored configuration, or `given` instead of it, and answer once it is ready.

        Raises:
            ProblemError: invalid-configuration, instance-busy, instance-running (with another
                configuration), platform-unavailable or start-failed.
        """
        wanted = await self._wanted(instance_id, given)
        platform = self.platform(instance_id)
        desired = {} if keep_desired else {"desired_run_state": RunState.RUNNING.value}
        begun, unchanged = await self._begin_start(instance_id, wanted, cause, desired)
        if unchanged:
            return _outcome(begun, "start", False, "runs already with this configuration")
        return await self._finish(self._launch(platform, begun, wanted[0], cause, "start"))

    async def stop(self, instance_id: str, cause: Cause, *, keep_desired: bool = False) -> Outcome:
        """Stop what runs; nothing running is a success too.

        Raises:
            ProblemError: instance-busy or stop-failed.
        """
        desired = {} if keep_desired else {"desired_run_state": RunState.STOPPED.value}
        begun = await self._begin_stop(instance_id, cause, desired, "stop")
        if begun.instance.operation is None:
            return _outcome(begun, "stop", False, "does not run")
        return await self._finish(self._halt(begun, cause, "stop"))

    async def restart(self, instance_id: str, cause: Cause) -> Outcome:
        """Stop what runs and start the stored configuration, in one call that nothing interrupts.

        Raises:
            ProblemError: as for `start` and `stop`; what is refused is refused before the stop.
        """
        wanted = await self._wanted(instance_id, None)
        platform = self.platform(instance_id)
        desired = {"desired_run_state": RunState.RUNNING.value}
        begun = await self._begin_stop(instance_id, cause, desired, "restart")

        async def both() -> Outcome:
            if begun.instance.operation is not None:
                await self._halt(begun, cause, "restart")
            ready, _ = await self._begin_start(instance_id, wanted, cause, desired, "restart")
            return await self._launch(platform, ready, wanted[0], cause, "restart")

        return await self._finish(both())

    async def delete(self, instance_id: str, cause: Cause) -> None:
        """Stop and tear down what there is, then forget the instance (B-82).

        Raises:
            ProblemError: instance-not-found, instance-busy or stop-failed.
        """
        desired = {"desired_run_state": RunState.STOPPED.value}
        begun = await self._begin_stop(instance_id, cause, desired, "delete")

        async def teardown() -> None:
            if begun.instance.operation is not None:
                await self._halt(begun, cause, "delete")
            platform = self._platforms.get(PlatformType(begun.instance.platform_type))
            if platform is not None:
                await platform.remove(instance_id)
            await self._settled(instance_id, lambda record: transition(record, None, cause))

        await self._finish(teardown())

    def platform(self, instance_id: str) -> Platform:
        """Where the instance runs.

        Raises:
            ProblemError: nothing can be started there now (platform-unavailable).
        """
        return available(self._platforms, self._fleet.get(instance_id).instance.platform_type)

    async def close(self) -> None:
        """Wait for every call that has begun."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _wanted(self, instance_id: str, given: Any | None) -> tuple[Document, int | None]:
        """What to run, with the generation that it is, if it is one."""
        record = self._fleet.get(instance_id)
        if given is None:
            base = await self._configurations.get(instance_id)
            return stored(base.document), base.generation
        wanted = document(given, port=record.port)
        history = await self._configurations.history(instance_id)
        known = (each.generation for each in history if each.digest == wanted.digest)
        return wanted, next(known, None)

    async def _begin_start(
        self,
        instance_id: str,
        wanted: tuple[Document, int | None],
        cause: Cause,
        desired: Mapping[str, str],
        action: str = "start",
    ) -> tuple[Record, bool]:
        """Hold the instance as Starting; or leave it, if this runs already."""
        what, generation = wanted
        slot = Slot(
            name=SLOT,
            host=what.host,
            port=what.port,
            digest=what.digest,
            components_digest=what.components_digest,
            generation=generation,
            at=cause.at,
        )
        unchanged = False

        def decide(record: Record | None) -> Transition:
            nonlocal unchanged
            free = _free(record, instance_id)
            unchanged = free.slot is not None and free.slot.digest == what.digest
            if unchanged:
                return transition(free, put(free, **desired), cause)
            if free.slot is not None:
                raise ProblemError(
                    "instance-running",
                    f"instance {instance_id!r} runs with another configuration; "
                    "stop it first, or POST …/restart",
                )
            after = put(
                free,
                status=InstanceStatus.STARTING.value,
                health="Unknown",
                reason=None,
                observed_components_digest=None,
                slot=slot,
                operation=self._operation(action, cause),
                **desired,
            )
            return transition(free, after, cause)

        begun = await self._fleet.change(instance_id, decide)
        return begun or self._fleet.get(instance_id), unchanged

    async def _begin_stop(
        self, instance_id: str, cause: Cause, desired: Mapping[str, str], action: str
    ) -> Record:
        """Hold the instance as Stopping; or only note what is desired, if nothing can run."""

        def decide(record: Record | None) -> Transition:
            free = _free(record, instance_id)
            idle = (InstanceStatus.CREATED.value, InstanceStatus.STOPPED.value)
            if free.slot is None and free.instance.status in idle:
                return transition(free, put(free, **desired), cause)
            after = put(
                free,
                status=InstanceStatus.STOPPING.value,
                reason=None,
                operation=self._operation(action, cause),
                **desired,
            )
            return transition(free, after, cause)

        return await self._fleet.change(instance_id, decide) or self._fleet.get(instance_id)

    async def _launch(
        self, platform: Platform, begun: Record, what: Document, cause: Cause, action: str
    ) -> Outcome:
        instance_id = begun.instance.id
        launch = Launch(
            instance_id,
            SLOT,
            for_launch(what.configuration, instance_id=instance_id),
            what.host,
            what.port,
        )
        self._early_exits.pop(instance_id, None)
        try:
            running = await _started(platform, launch)
        except LaunchError as error:
            await self._settled(instance_id, lambda r: self._failed(r, str(error)))
            raise ProblemError(
                "start-failed",
                f"instance {instance_id!r} did not start: {error}",
                exitCode=error.exit_code,
                log=list(error.log),
            ) from None
        except BaseException:
            await self._settled(instance_id, lambda r: self._failed(r, "the platform failed"))
            raise
        record = await self._settled(instance_id, lambda r: self._ready(r, running, cause))
        exited = self._early_exits.pop(instance_id, None)
        if exited is not None and exited.process_id == running.process_id:
            self._on_exit(exited)
        return _outcome(record, action, True, f"{action}ed successfully")

    def _ready(self, record: Record | None, running: Running, cause: Cause) -> Transition:
        if record is None or record.slot is None:
            return Transition(record)
        slot = msgspec.structs.replace(
            record.slot,
            process_id=running.process_id,
            process_started=running.process_started,
            host=running.host,
            port=running.port,
        )
        now = self._at(cause)
        after = put(
            record,
            status=InstanceStatus.RUNNING.value,
            reason=None,
            slot=slot,
            operation=None,
            started_at=now.at,
        )
        return transition(record, after, now)

    def _failed(self, record: Record | None, reason: str) -> Transition:
        if record is None:
            return Transition(None)
        now = Cause(self._now())
        return transition(record, ended(record, InstanceStatus.ERROR, reason, now.at), now)

    async def _halt(self, begun: Record, cause: Cause, action: str) -> Outcome:
        """Stop the slot; restart goes on holding the instance, for its start."""
        instance_id = begun.instance.id
        platform = self._platforms.get(PlatformType(begun.instance.platform_type))
        try:
            ran = platform is not None and await platform.stop(instance_id, SLOT)
        except BaseException as error:
            reason = "the server survived every signal" if isinstance(error, TimeoutError) else (
                "the platform failed to stop the server"
            )
            await self._settled(instance_id, lambda r: self._unstoppable(r, reason, cause))
            raise ProblemError(
                "stop-failed", f"instance {instance_id!r}: {reason}", exitCode=None, log=[]
            ) from error
        goes_on = begun.instance.operation if action in ("restart", "delete") else None

        def decide(record: Record | None) -> Transition:
            if record is None:
                return Transition(None)
            now = self._at(cause)
            after = ended(record, InstanceStatus.STOPPED, None, now.at)
            return transition(record, put(after, operation=goes_on), now)

        record = await self._settled(instance_id, decide)
        return _outcome(record, action, ran, "stopped successfully")

    def _unstoppable(self, record: Record | None, reason: str, cause: Cause) -> Transition:
        if record is None:
            return Transition(None)
        status = InstanceStatus.ERROR.value
        return transition(
            record, put(record, status=status, reason=reason, operation=None), self._at(cause)
        )

    def _on_exit(self, exited: Exit) -> None:
        """A slot ended by itself: an Error at once (B-29), unless a start has yet to hear of it."""
        self._early_exits[exited.instance_id] = exited
        code = "unknown" if exited.exit_code is None else exited.exit_code

        def decide(record: Record | None) -> Transition:
            slot = record.slot if record else None
            if record is None or slot is None or slot.process_id != exited.process_id:
                return Transition(record)
            if record.instance.operation is not None:
                return Transition(record)
            return self._failed(record, f"exit code {code}")

        if exited.instance_id in self._fleet:
            self._spawn(self._settled(exited.instance_id, decide))

    async def _settled(
        self, instance_id: str, decide: Callable[[Record | None], Transition]
    ) -> Record:
        """Store what has happened already, however long the store takes to come back."""
        while True:
            try:
                record = await self._fleet.change(instance_id, decide)
            except StoreError:
                await asyncio.sleep(STORE_RETRY)
            else:
                return record or _GONE

    async def _finish(self, work: Awaitable[T]) -> T:
        """Let the work go on to its end though the caller is cancelled (B-94)."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Awaitable[T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def _operation(self, action: str, cause: Cause) -> OperationInFlight:
        return OperationInFlight(
            action, cause.operation_id or self._clock.new_id(), cause.actor, cause.at
        )

    def _now(self) -> str:
        return self._clock.now().isoformat().replace("+00:00", "Z")

    def _at(self, cause: Cause) -> Cause:
        return cause._replace(at=self._now())
