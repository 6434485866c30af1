"""Once the lease is lost, no call that changes something is made, not even within a command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from draas.decide.commands import (
    Apply,
    Close,
    Command,
    Open,
    Restore,
    Shift,
    Start,
    Stop,
    Switch,
    TakeBack,
)
from draas.model.configuration import digest
from draas.model.instance import InstanceState
from draas.model.reconciliation import DriftKind, Memory, Operation, Phase, Trigger
from draas.model.slots import MAIN, SECOND
from draas.reconciliation.apply import Executor
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.outside import NOTHING_OUTSIDE
from draas.reconciliation.store import LeaseLostError
from draas.testing import virtual_time
from draas.testing.configurations import configuration
from draas.testing.simulated_calls import Call
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.virtual_time import VirtualClock

OLD, NEW = configuration(9121), configuration(9122)


class SlowlyRead(SimulatedControlPlane):
    """The lease of who reads lapses while it waits for the answer."""

    def __init__(self) -> None:
        super().__init__(VirtualClock(), router="simulated")
        self.lapses = self.lapsed = False
        self.called: list[str] = []

    async def state(self, instance_id: str) -> InstanceState | None:
        self.lapsed = self.lapses
        return await super().state(instance_id)

    async def call(self, call: Call, key: str | None = None) -> Any:
        self.called.append(call.kind)
        return await super().call(call, key)

    def held(self, instance_id: str) -> int:
        if self.lapsed:
            raise LeaseLostError(f"instance {instance_id!r} is not held any more")
        return 1


@pytest.mark.parametrize(
    ("command", "stopped"),
    [
        pytest.param(Start(), False, id="start"),
        pytest.param(Start(), True, id="a stop for the user's stop"),
        pytest.param(Apply(), False, id="apply"),
        pytest.param(Restore(), False, id="restore"),
        pytest.param(Open(), False, id="open"),
        pytest.param(Shift(25), False, id="shift"),
        pytest.param(Switch(), False, id="switch"),
        pytest.param(TakeBack(), False, id="take back"),
        pytest.param(Close(candidate=True), False, id="close"),
    ],
)
def test_nothing_is_called_once_the_lease_lapsed_in_the_middle(
    command: Command, stopped: bool
) -> None:
    virtual_time.run(_lapsing(command, stopped))


async def _lapsing(command: Command, stopped: bool) -> None:
    plane, fleet = SlowlyRead(), Fleet()

    async def remember(instance_id: str, change: Callable[[Memory], Memory]) -> None:
        fleet.remember(change(fleet.memory(instance_id)))

    executor = Executor(plane, fleet, plane.clock, remember, NOTHING_OUTSIDE, plane.held)
    await plane.create("a", OLD)
    await plane.want("a", running=True)
    await plane.configure("a", NEW)
    if isinstance(command, Shift | Switch | TakeBack | Close):
        opened = await executor.carry_out(Open(), operation(plane))
        assert opened.ok
    if stopped:
        await plane.want("a", running=False)
    plane.called.clear()
    plane.lapses = True
    with pytest.raises(LeaseLostError):
        await executor.carry_out(command, operation(plane))
    assert plane.called == []


async def test_nothing_is_stopped_without_the_lease() -> None:
    plane, fleet = SlowlyRead(), Fleet()

    async def remember(instance_id: str, change: Callable[[Memory], Memory]) -> None:
        fleet.remember(change(fleet.memory(instance_id)))

    plane.lapsed = True
    executor = Executor(plane, fleet, plane.clock, remember, NOTHING_OUTSIDE, plane.held)
    with pytest.raises(LeaseLostError):
        await executor.carry_out(Stop(), operation(plane))
    assert plane.called == []


def operation(plane: SlowlyRead) -> Operation:
    now = plane.clock.now()
    return Operation(
        id="op",
        instance_id="a",
        strategy="RollingUpdate",
        phase=Phase.OPENING,
        trigger=Trigger.CHANGE,
        actor="daemon",
        cause="the desired configuration changed",
        kinds=(DriftKind.CONFIGURATION,),
        target_digest=digest(NEW),
        target_generation=2,
        previous_digest=digest(OLD),
        started_at=now,
        deadline=now + timedelta(minutes=5),
        phase_since=now,
        fence=1,
        slot=SECOND,
        served_by=MAIN,
    )
