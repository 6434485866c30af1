"""The change feed: complete, in order, at once; and the prototype's view of it."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from draas.control_plane.options import ChangesOptions
from tests.support.control_plane import FAST, World, served
from tests.support.eventually import eventually


async def follow(world: World, cursor: str, until: int) -> list[dict[str, Any]]:
    """Everything after the cursor, by long polls, until there are `until` changes."""
    found: list[dict[str, Any]] = []
    while len(found) < until:
        answer = await world.changes(cursor, wait=10)
        assert answer["gap"] is False
        found += answer["changes"]
        cursor = answer["cursor"]
    return found


async def test_followers_miss_nothing_under_concurrency(world: World) -> None:
    cursor = await world.cursor()
    followers = [asyncio.create_task(follow(world, cursor, 60)) for _ in range(3)]
    await asyncio.gather(*(world.create(id=f"i{number}") for number in range(30)))
    await asyncio.gather(
        *(
            world.client.patch(
                f"/api/configuration/instances/i{number}",
                json=[{"op": "replace", "path": "/logLevel", "value": "debug"}],
            )
            for number in range(30)
        )
    )
    first, *others = await asyncio.gather(*followers)
    sequences = [each["sequence"] for each in first]
    assert sequences == list(range(sequences[0], sequences[0] + 60))
    assert {each["instanceId"] for each in first} == {f"i{number}" for number in range(30)}
    assert all([each["sequence"] for each in other] == sequences for other in others)


async def test_an_answer_is_never_too_large_to_be_read(world: World) -> None:
    await world.create(id="a", labels={f"{number:0253}": "x" * 4096 for number in range(64)})
    cursor = await world.cursor()
    for number in range(40):
        name = {"description": str(number)}
        assert (await world.client.patch("/api/servers/instances/a", json=name)).is_success
    answer = await world.changes(cursor)
    assert len(json.dumps(answer)) < 9 * 1024 * 1024
    assert 0 < len(answer["changes"]) < 40
    rest = await world.changes(answer["cursor"])
    assert len(answer["changes"]) + len(rest["changes"]) == 40
    assert (answer["more"], rest.get("more")) == (True, None)


async def test_of_what_is_reported_the_newest_is_kept(world: World) -> None:
    await world.create(id="a")
    for first in (0, 32, 64, 96, 0):
        told = {f"k{number}": "v" for number in range(first, first + 32)}
        update = {"instanceId": "a", "status": 1, "source": "d", "metadata": told}
        assert (await world.client.post("/api/status/updates", json=update)).status_code == 202
    info = (await world.client.get("/api/status/a/status")).json()
    expected = [f"reported:k{number}" for number in (*range(96, 128), *range(32))]
    assert sorted(info["runtimeMetadata"]) == sorted(expected)


async def test_a_long_poll_wakes_with_the_change(world: World) -> None:
    await world.create(id="a")
    cursor = await world.cursor()
    waiting = asyncio.create_task(world.changes(cursor, wait=60))
    await world.changes(cursor)
    assert not waiting.done()
    await world.client.patch(
        "/api/configuration/instances/a",
        json=[{"op": "replace", "path": "/logLevel", "value": "debug"}],
        headers={"Draas-Actor": "alice", "Draas-Operation": "op"},
    )
    async with asyncio.timeout(10):
        change = (await waiting)["changes"][0]
    assert (change["kind"], change["actor"], change["operationId"]) == (
        "ConfigurationChanged",
        "alice",
        "op",
    )
    assert change["state"]["generation"] == 2


async def test_a_poll_without_a_change_ends_with_the_same_cursor(world: World) -> None:
    cursor = await world.cursor()
    answer = await world.changes(cursor, wait=0.05)
    assert (answer["cursor"], answer["gap"], answer["changes"]) == (cursor, False, [])


async def test_looking_at_a_quiet_fleet_wakes_nobody(world: World) -> None:
    await world.create(id="a")
    await world.client.post("/api/servers/instances/a/start")

    async def quiet() -> str:
        state = await world.state("a")
        return state["lastGoodGeneration"] and await world.cursor()

    cursor = await eventually(quiet)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    answer = await world.changes(cursor, wait=20 * FAST.monitor_interval.total_seconds())
    assert answer["changes"] == []
    assert loop.time() - begin > 10 * FAST.monitor_interval.total_seconds(), "not woken before"


async def test_the_feed_is_read_in_pages(world: World) -> None:
    cursor = await world.cursor()
    for each in "abc":
        await world.create(id=each)
    page = await world.client.get("/api/changes", params={"after": cursor, "limit": 2})
    assert [each["instanceId"] for each in page.json()["changes"]] == ["a", "b"]
    rest = await world.changes(page.json()["cursor"])
    assert [each["instanceId"] for each in rest["changes"]] == ["c"]


@pytest.mark.parametrize("strange", ["{epoch}:999999", "another:1"])
async def test_a_cursor_of_another_world_is_a_gap(world: World, strange: str) -> None:
    await world.create(id="a")
    cursor = await world.cursor()
    answer = await world.changes(strange.format(epoch=cursor.rpartition(":")[0]), wait=30)
    assert (answer["gap"], answer["cursor"], answer["changes"]) == (True, cursor, [])


async def test_what_is_forgotten_is_a_gap_also_after_a_restart(tmp_path: Path) -> None:
    settings = replace(FAST, changes=ChangesOptions(retention=5))
    async with served(tmp_path, settings=settings) as world:
        start = await world.cursor()
        for number in range(8):
            await world.create(id=f"i{number}")
        end = await world.cursor()
    async with served(tmp_path, settings=settings) as world:
        assert await world.cursor() == end
        assert (await world.changes(start))["gap"] is True
        epoch = end.rpartition(":")[0]
        kept = await world.changes(f"{epoch}:3")
        assert kept["gap"] is False
        assert [each["instanceId"] for each in kept["changes"]] == [f"i{n}" for n in range(3, 8)]


async def test_the_state_of_what_is_deleted_is_null(world: World) -> None:
    await world.create(id="a")
    cursor = await world.cursor()
    await world.client.delete("/api/servers/instances/a")
    last = (await world.changes(cursor))["changes"][-1]
    assert (last["kind"], last["state"]) == ("Deleted", None)


async def test_all_transitions_are_seen(world: World) -> None:
    await world.create(id="a")
    cursor = await world.cursor()
    await world.client.post("/api/servers/instances/a/start")

    async def good() -> bool:
        return (await world.state("a"))["lastGoodGeneration"] == 1

    assert await eventually(good)
    found = (await world.changes(cursor))["changes"]
    statuses = [each["newStatus"] for each in found if each["kind"] == "StatusChanged"]
    assert statuses == ["Starting", "Running"]
    kinds = {each["kind"] for each in found}
    assert kinds == {
        "DesiredRunStateChanged",
        "StatusChanged",
        "Applied",
        "HealthChanged",
        "ObservedChanged",
        "LastGood",
    }


@pytest.mark.parametrize("spelled", [str, quote], ids=["unescaped plus", "escaped"])
async def test_recent_changes_since_an_instant_with_an_offset(world: World, spelled: Any) -> None:
    await world.create(id="a")
    at = (await world.state("a"))["createdAt"].replace("Z", "+00:00")
    await world.create(id="b")
    answer = await world.client.get(f"/API/Status/Recent-Changes?since={spelled(at)}")
    assert [each["instanceId"] for each in answer.json()] == ["a", "b"]
    future = "2999-01-01T00:00:00Z"
    assert (await world.client.get(f"/api/status/recent-changes?since={future}")).json() == []


@pytest.mark.parametrize("status", [3, "error"])
async def test_an_update_is_recorded_and_its_metadata_decides_nothing(
    world: World, status: Any
) -> None:
    await world.create(id="a")
    answer = await world.client.post(
        "/api/status/updates",
        json={
            "InstanceId": "a",
            "Status": status,
            "Source": "DockerDaemon",
            "Metadata": {"ConfigFilePath": "/etc/passwd"},
        },
    )
    assert (answer.status_code, answer.content) == (202, b"")
    info = (await world.client.get("/api/status/a/status")).json()
    assert info["status"] == "Error"
    assert info["runtimeMetadata"] == {"reported:ConfigFilePath": "/etc/passwd"}
    change = (await world.client.get("/api/status/recent-changes?statusFilter=Error")).json()[0]
    assert (change["source"], change["oldStatus"]) == ("DockerDaemon", "Created")
    made = (await world.client.get("/api/status/recent-changes")).json()[0]
    assert (made["oldStatus"], made["newStatus"]) == ("Created", "Created")


async def test_a_server_that_fails_is_logged_as_a_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "DRaaS.ControlPlane")
    await world.create(id="a")
    for status in ("Stopped", "Error"):
        told = {"instanceId": "a", "status": status, "source": "d"}
        assert (await world.client.post("/api/status/updates", json=told)).status_code == 202
    lines = [(each.levelname, each.message) for each in caplog.records]
    assert ("INFO", "StatusChanged of instance 'a' by d (Created → Stopped; d)") in lines
    assert ("WARNING", "StatusChanged of instance 'a' by d (Stopped → Error; d)") in lines
