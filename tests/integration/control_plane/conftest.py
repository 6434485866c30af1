from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.control_plane import World, served


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with served(tmp_path) as found:
        yield found
