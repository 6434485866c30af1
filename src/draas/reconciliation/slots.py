"""Carry out what strategies by two slots ask for: observe the slots, then ensure."""

from __future__ import annotations

from dataclasses import replace

from draas.client.port import ControlPlane, ControlPlaneError, RefusedError, UnreachableError
from draas.decide import health
from draas.decide.commands import (
    Analyse,
    Close,
    Command,
    ErrorClass,
    Open,
    Prove,
    Result,
    Shift,
    SmokeTest,
    Switch,
    TakeBack,
)
from draas.decide.detect import NOT_RUNNING
from draas.decide.validation import validate
from draas.model.instance import InstanceState
from draas.model.reconciliation import Operation
from draas.model.slots import CANDIDATE, MIRRORED, Slot, Slots, Traffic
from draas.model.status import InstanceStatus
from draas.reconciliation.checks import Checks
from draas.reconciliation.outside import Outside
from draas.reconciliation.targets import Targets, cannot_tell, down, not_yet, other
from draas.telemetry import messages
from draas.telemetry.logs import emit

CALL_SECONDS = 60.0
NOTHING_RUNS = "instance-not-running"
LEADS = "leader"


class SlotExecutor:
    """Each command is safe to repeat; see `Executor`, which turns what goes wrong into results."""

    def __init__(self, control_plane: ControlPlane, targets: Targets, outside: Outside) -> None:
        self._control_plane = control_plane
        self._targets = targets
        self._outside = outside
        self._checks = Checks(control_plane, outside)

    async def carry_out(self, command: Command, operation: Operation) -> Result:
        """How the command went.

        Raises:
            OverError: the operation has lost its object.
            ControlPlaneError: it could not be done.
        """
        try:
            return await self._carried_out(command, operation)
        except RefusedError as error:
            if error.kind != NOTHING_RUNS or not isinstance(command, Open | Shift):
                raise
            return down(error.detail)

    async def _carried_out(self, command: Command, operation: Operation) -> Result:
        match command:
            case Open():
                return await self._open(operation)
            case Prove(compare):
                return await self._look(operation, compare, with_traffic=False)
            case Analyse(compare):
                return await self._look(operation, compare, with_traffic=True)
            case SmokeTest():
                return await self._smoke_test(operation)
            case Shift(percent):
                return await self._shift(operation, percent)
            case Switch():
                return await self._switch(operation)
            case TakeBack():
                return await self._take_back(operation)
            case Close():
                return await self._close(operation, command)
            case _:
                raise TypeError(f"{command} is nothing that is done to slots")

    async def _open(self, operation: Operation) -> Result:
        state, instance_id = await self._targets.wanted(operation), operation.instance_id
        if (stopped := _down(state)) is not None:
            return stopped
        target = await self._targets.target(operation)
        if target is None:
            error = "the configuration that it is to run is not kept any more"
            return Result(error=error, error_class=ErrorClass.PERMANENT)
        if target.digest != operation.target_digest:
            return other(operation, target)
        if faults := validate(target.document):
            return Result(error=str(faults[0]), error_class=ErrorClass.PERMANENT)
        found = await self._control_plane.slots(instance_id)
        spare = found.spare
        is_other = spare and (spare.role, spare.digest) != (CANDIDATE, target.digest)
        if spare and (is_other or _missed(spare)):
            await self._remove(operation, spare.name, 0.0)
        emit(messages.OPENING_SLOT, instance_id=instance_id, digest=target.digest)
        opened = await self._control_plane.open_slot(
            instance_id,
            target.document,
            self._targets.order(operation, "open", target.digest),
            self._targets.seconds_left(operation),
            allow_state_loss=operation.allow_state_loss,
        )
        served_by = found.serving.name if found.serving else ""
        return Result(
            slot=opened.name,
            served_by=served_by,
            digest=target.digest,
            generation=target.generation,
        )

    async def _look(self, operation: Operation, compare: bool, *, with_traffic: bool) -> Result:
        """A look at the candidate, or at the slot with the target once that serves."""
        try:
            state = await self._targets.wanted(operation)
            if (stopped := _down(state)) is not None:
                return stopped
            if (newer := await self._targets.overtaken(operation, state)) is not None:
                return newer
            found = await self._control_plane.slots(operation.instance_id)
            slot = found.named(operation.slot)
            if slot is None:
                return _lost(f"slot {operation.slot!r} is not there any more")
            result = await self._judged(operation, slot)
            traffic = await self._traffic(operation.instance_id) if with_traffic else None
            if not (result.ok and compare and self._targets.comparison_due(operation)):
                return replace(result, traffic=traffic)
            parity = await self._control_plane.parity(operation.instance_id)
            return replace(result, traffic=traffic, parity=parity)
        except UnreachableError:
            raise
        except ControlPlaneError as error:
            return cannot_tell(str(error))

    async def _judged(self, operation: Operation, slot: Slot) -> Result:
        if slot.digest != operation.target_digest:
            return _lost(f"slot {slot.name!r} runs another configuration")
        if missed := _missed(slot):
            return _lost(f"{missed}: it must be made anew")
        found = await self._checks.of_candidate(operation.instance_id, slot)
        result = Result(checks=found, health=slot.health, running=True)
        if wrong := health.failed(found):
            result = not_yet(wrong)
        elif unknown := health.unknown(found):
            result = cannot_tell(unknown)
        elif slot.observed_components_digest is None:
            result = cannot_tell("what the slot runs has not been observed")
        elif slot.observed_components_digest != slot.components_digest:
            why = "the slot does not run what it was started with"
            result = Result(error=why, error_class=ErrorClass.ALTERED, running=True)
        elif slot.handover is not None and slot.handover.error:
            result = not_yet(f"it does not follow: {slot.handover.error}")
        return replace(result, checks=found)

    async def _smoke_test(self, operation: Operation) -> Result:
        state = await self._targets.wanted(operation)
        if (stopped := _down(state)) is not None:
            return stopped
        slot = (await self._control_plane.slots(operation.instance_id)).named(operation.slot)
        if slot is None:
            return _lost(f"slot {operation.slot!r} is not there any more")
        if self._outside.smoke_test is None:
            return Result()
        failed = await self._outside.smoke_test(operation.instance_id, slot)
        if failed:
            return Result(error="; ".join(failed), error_class=ErrorClass.PERMANENT)
        return Result()

    async def _shift(self, operation: Operation, percent: int) -> Result:
        state = await self._targets.wanted(operation)
        if (stopped := _down(state)) is not None:
            return stopped
        await self._control_plane.weigh(
            operation.instance_id,
            {operation.served_by: 100 - percent, operation.slot: percent},
            self._targets.order(operation, f"weigh-{percent}"),
            CALL_SECONDS,
        )
        emit(messages.SHIFTED, instance_id=operation.instance_id, percent=percent)
        return Result(traffic=await self._traffic(operation.instance_id))

    async def _switch(self, operation: Operation) -> Result:
        await self._targets.wanted(operation)
        instance_id, name = operation.instance_id, operation.slot
        await self._control_plane.switch(
            instance_id, name, self._targets.order(operation, f"switch-{name}"), CALL_SECONDS
        )
        emit(messages.SWITCHED, instance_id=instance_id, slot=name)
        return Result(traffic=await self._traffic(instance_id))

    async def _take_back(self, operation: Operation) -> Result:
        """Only the traffic, where the old slot still leads; else the leadership too."""
        await self._targets.wanted(operation)
        instance_id, name = operation.instance_id, operation.served_by
        found = await self._control_plane.slots(instance_id)
        old = found.named(name)
        if old is None:
            return _lost(f"slot {name!r} is not there any more")
        if _serves(found, name):  # Its traffic may be elsewhere still, though nothing else is left.
            weights = {name: 100} | ({found.spare.name: 0} if found.spare else {})
            called = self._targets.order(operation, f"weigh-back-{'-'.join(weights)}")
            await self._control_plane.weigh(instance_id, weights, called, CALL_SECONDS)
        else:
            called = self._targets.order(operation, f"switch-{name}")
            await self._control_plane.switch(instance_id, name, called, CALL_SECONDS)
        emit(messages.TAKEN_BACK, instance_id=instance_id, slot=name)
        return Result()

    async def _close(self, operation: Operation, command: Close) -> Result:
        await self._targets.wanted(operation)
        found = await self._control_plane.slots(operation.instance_id)
        if found.spare is None:
            return Result(changed=False)
        kept = operation.served_by if command.candidate else operation.slot
        if kept and found.spare.name == kept:
            error = f"slot {kept!r} is to serve and does not"
            return Result(error=error, error_class=ErrorClass.TRANSIENT)
        await self._remove(operation, found.spare.name, command.drain_seconds)
        return Result()

    async def _remove(self, operation: Operation, name: str, drain: float) -> None:
        instance_id = operation.instance_id
        called = self._targets.order(operation, f"close-{name}")
        await self._control_plane.close_slot(instance_id, name, called, drain, drain + CALL_SECONDS)
        emit(messages.SLOT_CLOSED, instance_id=instance_id, slot=name)

    async def _traffic(self, instance_id: str) -> Traffic:
        counted = await self._control_plane.traffic(instance_id)
        if self._outside.counters is None:
            return counted
        return await self._outside.counters(instance_id, counted)


def _down(state: InstanceState) -> Result | None:
    """The result where nothing serves: there is no second slot without a first."""
    if InstanceStatus.parse_or_unknown(state.status) not in NOT_RUNNING:
        return None
    return down(f"it does not run: {state.reason or state.status}")


def _missed(slot: Slot) -> str:
    """What a slot lacks for good, as it gets copies of pushes and some failed; empty if nothing."""
    followed = slot.handover
    return followed.error or "" if followed and followed.role == MIRRORED else ""


def _lost(error: str) -> Result:
    return Result(error=error, error_class=ErrorClass.LOST)


def _serves(found: Slots, name: str) -> bool:
    """Whether the slot serves, and leads as far as anybody tells."""
    serving = found.serving
    if serving is None or serving.name != name:
        return False
    return serving.handover is None or serving.handover.role in ("", LEADS)
