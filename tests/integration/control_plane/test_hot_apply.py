"""Changing a running server in place over HTTP: what is touched, what is refused, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.control_plane import World
from tests.support.eventually import eventually

SOURCE = {"id": "s", "kind": "mock", "intervalMs": 1000}


def document(text: str = "MATCH (n) RETURN n", **members: Any) -> dict[str, Any]:
    return {
        "sources": [SOURCE],
        "queries": [{"id": "q", "query": text, "sources": [{"sourceId": "s"}]}],
        "reactions": [{"id": "r", "kind": "log", "queries": ["q"]}],
    } | members


async def running(world: World) -> dict[str, Any]:
    await world.create(id="a", configuration=document())
    assert (await world.client.post("/api/servers/instances/a/start")).status_code == 200
    return (await world.client.get("/api/configuration/instances/a")).json()


async def put(world: World, configuration: dict[str, Any]) -> None:
    answer = await world.client.put("/api/configuration/instances/a", json=configuration)
    assert answer.is_success, answer.text


async def apply(world: World) -> tuple[int, dict[str, Any]]:
    answer = await world.client.post("/api/servers/instances/a/apply")
    return answer.status_code, answer.json()


async def test_only_what_changed_is_touched_and_the_process_stays(world: World) -> None:
    present = await running(world)
    process = (await world.client.get("/api/status/a/status")).json()["processId"]
    await put(world, present | {"queries": document("MATCH (n) RETURN n.id")["queries"]})
    status, told = await apply(world)
    assert (status, told["changed"]) == (200, True)
    assert world.platform.edits == [
        "delete reactions/r",
        "delete queries/q",
        "post queries/q",
        "post reactions/r",
    ]
    found = await world.state("a")
    assert found["appliedDigest"] == found["desiredDigest"]
    assert (found["appliedGeneration"], found["status"]) == (2, "Running")
    assert found["observedComponentsDigest"] == found["appliedComponentsDigest"]
    assert (await world.client.get("/api/status/a/status")).json()["processId"] == process


async def test_what_runs_already_is_left_alone(world: World) -> None:
    await running(world)
    status, told = await apply(world)
    assert (status, told["changed"], world.platform.edits) == (200, False, [])


async def test_what_was_changed_behind_our_back_is_put_right(world: World) -> None:
    present = await running(world)
    world.platform.tamper("a", present | {"queries": [], "reactions": []})
    assert (await apply(world))[0] == 200
    assert world.platform.edits == ["post queries/q", "post reactions/r"]


@pytest.mark.parametrize("setting", [{"port": 12_345}, {"logLevel": "debug"}])
async def test_a_setting_of_the_server_needs_a_restart_and_nothing_is_touched(
    world: World, setting: dict[str, Any]
) -> None:
    present = await running(world)
    await put(world, present | {"queries": [], "reactions": []} | setting)
    status, told = await apply(world)
    assert (status, told["type"]) == (409, "urn:draas:problem:restart-needed")
    assert told["settings"] == list(setting)
    assert world.platform.edits == []


async def test_what_does_not_run_cannot_be_changed_in_place(world: World) -> None:
    await world.create(id="a", configuration=document())
    status, told = await apply(world)
    assert (status, told["type"]) == (409, "urn:draas:problem:instance-not-running")


async def test_what_broke_off_shows_as_drift_and_is_gone_on_with(world: World) -> None:
    present = await running(world)
    more = document(sources=[SOURCE, SOURCE | {"id": "t"}, SOURCE | {"id": "u"}])
    await put(world, present | more)
    world.platform.unchangeable.add("u")
    status, told = await apply(world)
    assert (status, told["type"]) == (500, "urn:draas:problem:hot-apply-failed")
    assert "sources/u" in told["detail"]

    async def drifts() -> bool:
        found = await world.state("a")
        return bool(found["observedComponentsDigest"] != found["appliedComponentsDigest"])

    await eventually(drifts)
    assert (await world.state("a"))["appliedGeneration"] == 1
    assert (await world.state("a"))["operation"] is None
    world.platform.unchangeable.clear()
    assert (await apply(world))[0] == 200
    assert world.platform.edits == ["post sources/t", "post sources/u"]
