"""The process platform keeps the contract with real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract_suites.platforms import PlatformContract
from tests.support.platform_worlds import ProcessWorld


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    world = ProcessWorld(tmp_path)
    yield world
    await world.close()


class TestProcessPlatform(PlatformContract):
    pass
