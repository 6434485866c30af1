"""The simulated hand-over keeps the contract of real servers."""

from __future__ import annotations

import pytest

from draas.contract.drasi_server import FOLLOWER
from draas.contract.slots import MAIN, SECOND
from draas.control_plane.ports import Running
from draas.testing.simulated_handover import SimulatedHandover, SimulatedHost
from tests.contract_suites.handovers import HandoverContract


class SimulatedWorld:
    """Changes are their number; followers hear of them when they are asked."""

    def __init__(self) -> None:
        self.hosts = {
            MAIN: SimulatedHost(sequence=3),
            SECOND: SimulatedHost(FOLLOWER, sequence=3, peer=MAIN),
        }
        self.handover = SimulatedHandover(lambda _instance_id: self.hosts)
        self.main, self.second = (
            Running("a", name, number, 1.5, "h", number)
            for number, name in enumerate((MAIN, SECOND), 1)
        )

    async def change(self, leader: Running) -> None:
        leads = self.hosts[leader.slot]
        leads.sequence += 1
        for host in self.hosts.values():
            if host.peer == leader.slot and host.role == FOLLOWER:
                host.sequence = leads.sequence

    async def kill(self, running: Running) -> None:
        self.hosts[running.slot].dead = True


@pytest.fixture
async def world() -> SimulatedWorld:
    return SimulatedWorld()


class TestSimulatedHandover(HandoverContract):
    pass
