"""The simulated control plane keeps the contract of the real one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from draas.model.configuration import digest
from draas.testing.simulated_calls import Call
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.virtual_time import VirtualClock
from tests.contract_suites.control_planes import ControlPlaneContract
from tests.contract_suites.fencing import DOCUMENT, FencingContract


class SimulatedWorld:
    """The control plane is its own client; what happens to its instances is a method of it."""

    def __init__(self) -> None:
        self.plane = SimulatedControlPlane(VirtualClock(), start_seconds=0.01)
        self.create, self.configure = self.plane.create, self.plane.configure
        self.want, self.crash, self.delete = self.plane.want, self.plane.crash, self.plane.delete

    def doom(self, instance_id: str, document: Mapping[str, Any]) -> None:
        self.plane.failing[digest(document)] = "no such plugin"

    def spare(self, instance_id: str, document: Mapping[str, Any]) -> None:
        self.plane.failing.clear()

    async def call(self, action: str, fence: int | None = None, key: str | None = None) -> None:
        document = {} if action == "stop" else DOCUMENT
        await self.plane.call(Call(action, "a", "op", fence, document), key)

    async def status(self) -> str:
        return self.plane.servers["a"].status


@pytest.fixture
async def world() -> SimulatedWorld:
    return SimulatedWorld()


class TestSimulatedControlPlane(ControlPlaneContract, FencingContract):
    pass
