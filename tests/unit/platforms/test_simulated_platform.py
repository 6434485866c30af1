"""The simulated platform keeps the contract, and breaks on demand."""

from __future__ import annotations

import pytest

from draas.control_plane.ports import LaunchError
from draas.model.configuration import from_snapshot
from tests.contract_suites.platforms import OTHER, PlatformContract, launch
from tests.support.platform_worlds import SimulatedWorld


@pytest.fixture
def world() -> SimulatedWorld:
    return SimulatedWorld()


class TestSimulatedPlatform(PlatformContract):
    pass


async def test_tampering_is_seen_and_ends_with_a_restart(world: SimulatedWorld) -> None:
    wanted = launch(world)
    running = await world.platform.start(wanted)
    world.platform.tamper("alpha", OTHER)
    seen = await world.platform.observe(running)
    assert seen.snapshot is not None
    assert [each["id"] for each in from_snapshot(seen.snapshot)["sources"]] == ["s2"]
    await world.platform.stop("alpha", "main")
    seen = await world.platform.observe(await world.platform.start(wanted))
    assert seen.snapshot is not None
    assert [each["id"] for each in from_snapshot(seen.snapshot)["sources"]] == ["s1"]


async def test_launches_fail_until_they_are_allowed(world: SimulatedWorld) -> None:
    wanted = launch(world)
    world.platform.fail_launches("alpha", "no memory")
    with pytest.raises(LaunchError, match="no memory"):
        await world.platform.start(wanted)
    world.platform.allow_launches("alpha")
    assert (await world.platform.start(wanted)).port == wanted.port
