"""Whoever took an instance over last is obeyed, and a call that is repeated is made once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from draas.testing.simulated_platform import SimulatedFleet
from tests.support.control_plane import World, served

DOCUMENT = {"sources": [{"id": "s", "kind": "mock"}], "queries": [], "reactions": []}


async def call(world: World, action: str, *, fence: int | None = None, key: str = "") -> Any:
    headers = {"Draas-Operation": "op"}
    if fence is not None:
        headers["Draas-Fence"] = str(fence)
    if key:
        headers["Idempotency-Key"] = key
    return await world.client.post(f"/api/servers/instances/a/{action}", headers=headers)


def problem(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.mark.parametrize("action", ["start", "stop", "restart", "apply"])
async def test_an_older_fence_is_refused_and_changes_nothing(world: World, action: str) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    assert (await call(world, "start", fence=7)).status_code == 200
    before, cursor = await world.state("a"), await world.cursor()
    answer = await call(world, action, fence=6)
    assert (answer.status_code, problem(answer)) == (409, "stale-fence")
    assert (answer.json()["fence"], answer.json()["highest"]) == (6, 7)
    assert (await world.state("a"), await world.cursor()) == (before, cursor)


@pytest.mark.parametrize("fence", [7, 8, None], ids=["the same", "a newer", "a person's"])
async def test_others_are_obeyed(world: World, fence: int | None) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    await call(world, "start", fence=7)
    assert (await call(world, "stop", fence=fence)).status_code == 200


async def test_a_fence_is_known_again_after_a_restart_though_nothing_else_happened(
    tmp_path: Path,
) -> None:
    fleet = SimulatedFleet()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a", configuration=DOCUMENT)
        assert (await call(world, "stop", fence=9)).json()["changed"] is False
    async with served(tmp_path, fleet) as world:
        assert problem(await call(world, "start", fence=8)) == "stale-fence"


async def test_a_fence_is_known_again_though_the_instance_was_deleted_before_a_restart(
    tmp_path: Path,
) -> None:
    fleet = SimulatedFleet()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a", configuration=DOCUMENT)
        await call(world, "start", fence=9)
        (await world.client.delete("/api/servers/instances/a")).raise_for_status()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a", configuration=DOCUMENT)
        assert problem(await call(world, "start", fence=8)) == "stale-fence"
        assert (await call(world, "start", fence=9)).status_code == 200


async def test_each_change_tells_the_fence_that_made_it(world: World) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    cursor = await world.cursor()
    await call(world, "start", fence=5)
    made = (await world.changes(cursor))["changes"]
    by_call = [each for each in made if each["operationId"] == "op"]
    assert by_call and {each["fence"] for each in by_call} == {5}


@pytest.mark.parametrize("bad", ["0", "-1", "x", "1.5", "9" * 17, "²"])
async def test_what_is_no_fence_is_named(world: World, bad: str) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    answer = await world.client.post(
        "/api/servers/instances/a/start", headers={b"Draas-Fence": bad.encode()}
    )
    assert (answer.status_code, problem(answer)) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == "Draas-Fence"


async def test_a_repeated_call_gets_the_first_answer_also_after_a_restart(tmp_path: Path) -> None:
    fleet = SimulatedFleet()
    async with served(tmp_path, fleet) as world:
        await world.create(id="a", configuration=DOCUMENT)
        first = await call(world, "start", key="k")
        assert first.json()["changed"] is True
        await call(world, "stop")
        again = await call(world, "start", key="k")
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert (await world.state("a"))["status"] == "Stopped"
    async with served(tmp_path, fleet) as world:
        assert (await call(world, "start", key="k")).content == first.content
        assert (await call(world, "start", key="another")).json()["changed"] is True


async def test_a_failed_start_is_answered_again_and_a_refused_call_is_made_again(
    world: World,
) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    world.platform.fail_launches("a", "no such plugin")
    failed = await call(world, "start", key="k")
    assert (failed.status_code, problem(failed)) == (500, "start-failed")
    world.platform.allow_launches("a")
    assert (await call(world, "start", key="k")).content == failed.content
    await call(world, "start", fence=5)
    assert problem(await call(world, "stop", fence=4, key="s")) == "stale-fence"
    assert (await call(world, "stop", fence=5, key="s")).json()["changed"] is True


async def test_a_call_that_is_under_way_is_joined(world: World) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    answers = await asyncio.gather(*(call(world, "start", key="k") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


async def test_one_key_for_two_calls_is_refused(world: World) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    await call(world, "start", key="k")
    answer = await call(world, "stop", key="k")
    assert (answer.status_code, problem(answer)) == (422, "idempotency-key-reused")
    assert (await world.state("a"))["status"] == "Running"


async def test_only_the_newest_answers_are_kept(world: World) -> None:
    await world.create(id="a", configuration=DOCUMENT)
    first = await call(world, "start", key="0")
    for number in range(1, 20):
        await call(world, "start", key=str(number))
    assert first.json()["changed"] is True
    assert (await call(world, "start", key="0")).json()["changed"] is False
