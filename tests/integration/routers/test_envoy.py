"""Envoy keeps the contract of traffic routers, and what only it promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from draas.adapters.routers.envoy import EnvoyRouter
from tests.contract_suites.routers import RouterContract
from tests.support.router_worlds import RouterWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[RouterWorld]:
    world = RouterWorld(tmp_path / "router", EnvoyRouter)
    yield world
    await world.close()


class TestEnvoy(RouterContract):
    pass
