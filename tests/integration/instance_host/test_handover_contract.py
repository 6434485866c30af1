"""Real hosts, through the control plane's client, keep the contract of simulated ones."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from draas.adapters.platforms.handover_client import HandoverClient
from draas.contract.slots import MAIN, SECOND
from draas.control_plane.ports import Running
from tests.contract_suites.handovers import HandoverContract
from tests.integration.instance_host.handover import hosts_in, shop
from tests.integration.instance_host.hosts import Host, order


class HostsWorld:
    """Two hosts as processes of their own."""

    def __init__(self, handover: HandoverClient, main: Host, second: Host) -> None:
        self.handover = handover
        self._hosts = {MAIN: main, SECOND: second}
        self.main, self.second = _running(main, MAIN), _running(second, SECOND)
        self._pushed = 0

    async def change(self, leader: Running) -> None:
        self._pushed += 1
        await self._hosts[leader.slot].push(order(f"more-{self._pushed}", 1))

    async def kill(self, running: Running) -> None:
        await self._hosts[running.slot].stop(signal.SIGKILL)


def _running(host: Host, slot: str) -> Running:
    address = urlsplit(host.url)
    assert address.hostname and address.port
    number = host.process.pid
    return Running(host.instance_id, slot, number, 1.5, address.hostname, address.port)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[HostsWorld]:
    handover = HandoverClient()
    async with hosts_in(tmp_path) as hosts:
        main = await hosts.start(shop())
        await main.push(*(order(f"o{number}", number) for number in range(3)))
        second = await hosts.follow(main, shop())
        yield HostsWorld(handover, main, second)
    await handover.close()


class TestHandoverClient(HandoverContract):
    pass
