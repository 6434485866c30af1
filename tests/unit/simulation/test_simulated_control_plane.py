"""The simulated control plane keeps the contract of the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from draas.model.configuration import digest
from draas.model.slots import MAIN, Loss
from draas.testing.configurations import configuration
from draas.testing.simulated_calls import Call
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.virtual_time import VirtualClock
from tests.contract_suites.control_planes import ControlPlaneContract
from tests.contract_suites.fencing import DOCUMENT, FencingContract
from tests.contract_suites.slots import SlotsContract


class SimulatedWorld:
    """The control plane is its own client; what happens to its instances is a method of it."""

    def __init__(self) -> None:
        self.plane = SimulatedControlPlane(VirtualClock(), start_seconds=0.01, router="simulated")
        self.create, self.configure = self.plane.create, self.plane.configure
        self.want, self.delete = self.plane.want, self.plane.delete

    async def crash(self, instance_id: str, slot: str = MAIN) -> None:
        if slot == self.plane.slots_of(instance_id).serving:
            await self.plane.crash(instance_id)
        else:
            self.plane.fall_beside(instance_id)

    def doom(self, instance_id: str, document: Mapping[str, Any]) -> None:
        self.plane.failing[digest(document)] = "no such plugin"

    def spare(self, instance_id: str, document: Mapping[str, Any]) -> None:
        self.plane.failing.clear()

    async def call(self, action: str, fence: int | None = None, key: str | None = None) -> None:
        document = {} if action == "stop" else DOCUMENT
        if action == "start":  # as a user's call, which brings the user's wish
            self.plane.servers["a"].wanted = True
        await self.plane.call(Call(action, "a", "op", fence, document), key)

    def ends_in_launch(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self.plane.start_seconds / 2, self.plane.fall, "a", "exit code 137")

    def forgetful(self) -> Mapping[str, Any]:
        self.plane.losses["a"] = [Loss(query="q", reason="of its source")]
        return configuration(9124)

    def refuse(self, slot: str, call: str) -> None:
        self.plane.slots_of("a").hosts[slot].fails.add(call)

    def roles(self) -> dict[str, str]:
        if self.plane.servers["a"].status == "Stopped":
            return {}
        hosts = self.plane.slots_of("a").hosts
        return {name: host.role for name, host in hosts.items() if not host.dead}

    def weights(self) -> dict[str, int]:
        weights = self.plane.slots_of("a").flow.weights
        return {name: weight for name, weight in weights.items() if weight}

    async def status(self) -> str:
        return self.plane.servers["a"].status


@pytest.fixture
async def world() -> SimulatedWorld:
    return SimulatedWorld()


class TestSimulatedControlPlane(ControlPlaneContract, FencingContract, SlotsContract):
    pass
