"""The process platform keeps the contract with the server that is part of this project."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from draas.adapters.platforms.process import INCLUDED
from draas.control_plane.ports import Launch, LaunchError
from draas.model.configuration import from_snapshot, observable_digest
from draas.model.status import Health
from tests.contract_suites.platforms import PlatformContract, launch
from tests.support.platform_worlds import ProcessWorld


class IncludedWorld(ProcessWorld):
    doomed_code = 1

    def doomed(self, launch: Launch) -> Launch:
        return replace(launch, configuration={**launch.configuration, "nonsense": True})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[IncludedWorld]:
    world = IncludedWorld(tmp_path, command=INCLUDED)
    yield world
    await world.close()


class TestIncludedServer(PlatformContract):
    pass


DOCUMENT = {
    "logLevel": "warn",
    "sources": [{"kind": "mock", "id": "s1", "dataType": {"type": "counter"}}],
    "queries": [
        {
            "id": "q1",
            "query": "MATCH (c:Counter) RETURN c.value AS value",
            "queryLanguage": "Cypher",
            "autoStart": True,
            "sources": [{"sourceId": "s1"}],
        }
    ],
    "reactions": [{"kind": "log", "id": "r1", "queries": ["q1"]}],
}


async def test_a_whole_document_comes_back(world: IncludedWorld) -> None:
    seen = await world.observer.observe(await world.platform.start(launch(world, DOCUMENT)))
    assert (seen.health, seen.reason) == (Health.HEALTHY, None)
    assert seen.snapshot is not None
    assert observable_digest(from_snapshot(seen.snapshot)) == observable_digest(DOCUMENT)


async def test_a_stopped_query_is_degraded(world: IncludedWorld) -> None:
    running = await world.platform.start(launch(world, DOCUMENT))
    address = f"http://127.0.0.1:{running.port}/api/v1/instances/alpha/queries/q1/stop"
    async with aiohttp.ClientSession() as session, session.post(address) as answer:
        assert answer.status == 200
    seen = await world.observer.observe(running)
    assert (seen.health, seen.reason) == (Health.DEGRADED, "query 'q1' is Stopped")
    assert seen.snapshot is not None


async def test_a_query_that_cannot_run_is_refused_with_its_reason(world: IncludedWorld) -> None:
    document = {"queries": [{"id": "broken", "query": "NOT A QUERY", "autoStart": True}]}
    with pytest.raises(LaunchError, match="query 'broken' did not start") as refused:
        await world.platform.start(launch(world, document))
    assert refused.value.exit_code == 1
