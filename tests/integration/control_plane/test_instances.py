"""Every row of the instances' part of docs/api.md, in every spelling."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.control_plane import World, served
from tests.support.documents import REALISTIC
from tests.support.eventually import eventually

BASES = [
    pytest.param("/api/servers", id="canonical"),
    pytest.param("/api/server", id="alias"),
    pytest.param("/API/Server", id="upper case"),
]


@pytest.mark.parametrize("base", BASES)
async def test_a_whole_life(world: World, base: str) -> None:
    made = await world.client.post(
        f"{base}/instances", json={"id": "Ab", "name": "one", "labels": {"team": "x"}}
    )
    assert made.status_code == 201
    assert made.headers["location"] == "/api/servers/instances/Ab"
    assert made.json()["status"] == "Created"
    assert made.json()["desiredRunState"] == "Stopped"
    at = f"{base}/instances/Ab"
    assert (await world.client.get(at)).json() == made.json()
    started = (await world.client.post(f"{at}/start")).json()
    assert started["changed"] is True
    assert started["status"] == "Running"
    info = (await world.client.get(f"{at}/Runtime-Status")).json()
    assert info["processId"] == started["processId"]
    again = (await world.client.post(f"{at}/start")).json()
    assert (again["changed"], again["processId"]) == (False, started["processId"])
    restarted = (await world.client.post(f"{at}/restart")).json()
    assert restarted["processId"] != started["processId"]
    observed = (await world.client.get(f"{at}/observed")).json()
    assert observed["componentsDigest"] == (await world.state("Ab"))["appliedComponentsDigest"]
    assert (await world.client.post(f"{at}/stop")).json()["status"] == "Stopped"
    assert (await world.client.post(f"{at}/stop")).json()["changed"] is False
    assert (await world.client.delete(at)).status_code == 204
    assert (await world.client.get(at)).status_code == 404
    assert world.platform.fleet.servers == {}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"Name": "n", "Id": "i", "PlatformType": 0}, id="PascalCase and integers"),
        pytest.param({"name": "n", "id": "i", "platformType": "process"}, id="names in any case"),
        pytest.param({"instanceId": "i", "platform": "Process", "name": "n"}, id="prototype"),
        pytest.param({"instanceId": "i", "name": None}, id="prototype without a name"),
        pytest.param({"name": "n", "id": "i", "unknown": [1]}, id="unknown members"),
    ],
)
async def test_creation_in_every_spelling(world: World, body: dict[str, Any]) -> None:
    answer = await world.client.post("/api/servers", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["id"] == "i"
    assert answer.json()["platformType"] == "Process"


async def test_a_port_is_not_given_that_its_own_source_listens_on(world: World) -> None:
    path = "/api/configuration/instances/{}"
    await world.create(id="a")
    first = (await world.client.get(path.format("a"))).json()["port"]
    await world.client.delete("/api/servers/instances/a")
    source = {"id": "s", "kind": "http", "port": first}
    await world.create(id="b", configuration={"sources": [source]})
    assert (await world.client.get(path.format("b"))).json()["port"] != first


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"configuration": {"port": 9123}}, id="flat"),
        pytest.param({"configuration": {"Port": 9123}}, id="PascalCase"),
        pytest.param({"serverConfiguration": {"port": 9123}}, id="beside"),
        pytest.param({"configuration": {"serverConfiguration": {"Port": 9123}}}, id="nested"),
    ],
)
async def test_a_port_that_is_given_is_kept(world: World, members: dict[str, Any]) -> None:
    await world.create(id="a", **members)
    found = (await world.client.get("/api/configuration/instances/a")).json()
    assert found["port"] == 9123
    assert "serverConfiguration" not in found


async def test_ports_differ_and_are_given_again_after_a_delete(world: World) -> None:
    async def port(instance_id: str) -> int:
        path = f"/api/servers/instances/{instance_id}/configuration/server"
        return int((await world.client.get(path)).json()["port"])

    for each in "abc":
        await world.create(id=each)
    first, second, third = [await port(each) for each in "abc"]
    assert len({first, second, third}) == 3
    await world.client.delete("/api/servers/instances/b")
    await world.create(id="d")
    assert await port("d") == second


async def test_a_configuration_survives_whole_and_its_secrets_stay_out_of_sight(
    world: World,
) -> None:
    given = REALISTIC | {"port": 9124}
    given["sources"] = [{**given["sources"][0], "x-team": {"a": [1, None]}}, given["sources"][1]]
    await world.create(id="a", configuration=given)
    found = (await world.client.get("/api/configuration/instances/a")).json()
    assert found["sources"][0] == given["sources"][0]
    await world.client.post("/api/servers/instances/a/start")
    observed = await world.client.get("/api/servers/instances/a/observed")
    assert "hunter2" not in observed.text
    assert "hunter2" not in (await world.client.get("/api/servers/instances")).text


@pytest.mark.parametrize("params", [{}, {"view": "state"}, {"label": "team=x"}], ids=str)
async def test_lists_are_the_same_after_a_restart(tmp_path: Path, params: dict[str, str]) -> None:
    answers = []
    for made in (["b", "a"], []):
        async with served(tmp_path) as world:
            for each in made:
                await world.create(id=each, labels={"team": "x"})
            answers.append(await world.client.get("/api/servers/instances", params=params))
    before, after = answers
    assert (before.headers["etag"], before.text) == (after.headers["etag"], after.text)


async def test_lists_filter_cache_and_slim(world: World) -> None:
    await world.create(id="a", labels={"team": "x", "zone": "1"})
    await world.create(id="b", labels={"team": "x"})
    await world.create(id="c")
    path = "/api/servers/instances"
    both = await world.client.get(path, params=[("label", "team=x"), ("label", "zone=1")])
    assert [each["id"] for each in both.json()] == ["a"]
    slim = await world.client.get(path, params={"view": "state"})
    assert slim.json()["cursor"] == await world.cursor()
    assert [each["id"] for each in slim.json()["instances"]] == ["a", "b", "c"]
    assert "name" not in slim.json()["instances"][0]
    etag = slim.headers["etag"]
    headers = {"If-None-Match": etag}
    fresh = await world.client.get(path, params={"view": "state"}, headers=headers)
    assert (fresh.status_code, fresh.content) == (304, b"")
    await world.create(id="d")
    stale = await world.client.get(path, params={"view": "state"}, headers=headers)
    assert stale.status_code == 200
    one = await world.client.get(f"{path}/a")
    assert (
        await world.client.get(f"{path}/a", headers={"If-None-Match": one.headers["etag"]})
    ).status_code == 304


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_names_and_labels_can_be_changed(world: World, media_type: str) -> None:
    await world.create(
        id="a", name="one", description="d", labels={"team": "x", "zone": "1"}, metadata={"k": "v"}
    )
    before, cursor = await world.state("a"), await world.cursor()
    patch = {"Name": "two", "description": None, "labels": {"zone": None, "tier": "gold"}}
    answer = await world.client.patch(
        "/api/server/instances/a",
        content=json.dumps(patch),
        headers={"content-type": media_type, "Draas-Actor": "alice"},
    )
    assert answer.status_code == 200, answer.text
    after = await world.state("a")
    assert after == answer.json()
    assert after == before | {
        "name": "two",
        "description": "",
        "labels": {"team": "x", "tier": "gold"},
    }
    (change,) = (await world.changes(cursor))["changes"]
    assert (change["kind"], change["actor"]) == ("Described", "alice")
    assert change["state"]["labels"] == after["labels"]
    gold = await world.client.get("/api/servers/instances", params={"label": "tier=gold"})
    assert [each["id"] for each in gold.json()] == ["a"]
    await world.client.patch("/api/server/instances/a", json={"labels": None, "metadata": None})
    assert (await world.state("a"))["labels"] == {}
    cursor = await world.cursor()
    await world.client.patch("/api/server/instances/a", json={"name": "two"})
    assert await world.cursor() == cursor


@pytest.mark.parametrize("params", [{}, {"view": "state"}, {"label": "team=x"}], ids=str)
async def test_a_call_under_way_changes_the_etag_of_lists(
    world: World, params: dict[str, str]
) -> None:
    await world.create(id="a", labels={"team": "x"})
    path = "/api/servers/instances"
    before = await world.client.get(path, params=params)
    gate, begun = asyncio.Event(), asyncio.Event()
    free_start = world.platform.start

    async def slow(launch: Any) -> Any:
        begun.set()
        await gate.wait()
        return await free_start(launch)

    world.platform.start = slow  # type: ignore[method-assign]  # a server that takes its time
    starting = asyncio.create_task(world.client.post(f"{path}/a/start"))
    await begun.wait()
    held = await world.client.get(path, params=params)
    gate.set()
    await starting
    after = await world.client.get(path, params=params)
    answers = (before, held, after)
    assert len({each.headers["etag"] for each in answers}) == len({each.text for each in answers})
    again = await world.client.get(
        path, params=params, headers={"If-None-Match": after.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["/api/servers/instances", "/api/servers/instances/a"])
async def test_each_form_has_its_own_etag(world: World, path: str) -> None:
    await world.create(id="a")
    names = await world.client.get(path)
    integers = await world.client.get(path, headers={"Draas-Enum-Format": "int"})
    assert names.headers["etag"] != integers.headers["etag"]
    for each in (names, integers):
        assert "draas-enum-format" in each.headers["vary"].lower()
    stale = await world.client.get(
        path, headers={"Draas-Enum-Format": "int", "If-None-Match": names.headers["etag"]}
    )
    assert stale.json() == integers.json()


async def test_integers_for_who_asks(world: World) -> None:
    await world.create(id="a", metadata={"status": "Running"})
    by_query = (await world.client.get("/api/servers/instances?enumFormat=int")).json()[0]
    assert (by_query["status"], by_query["platformType"]) == (0, 0)
    assert by_query["metadata"] == {"status": "Running"}
    header = {"Draas-Enum-Format": "int"}
    path = "/api/status/recent-changes"
    assert (await world.client.get(path, headers=header)).json()[0]["newStatus"] == 0


@pytest.mark.parametrize("form", ["name", "int"])
@pytest.mark.parametrize(("method", "done"), [("PATCH", {"json": {"name": "two"}}), ("DELETE", {})])
async def test_only_the_instance_that_was_seen_is_changed(
    world: World, method: str, done: dict[str, Any], form: str
) -> None:
    path = "/api/servers/instances/a"
    await world.create(id="a", name="one")
    seen = (await world.client.get(path, params={"enumFormat": form})).headers["etag"]
    await world.client.patch(path, json={"description": "another"})
    before = await world.state("a")
    stale = await world.client.request(method, path, headers={"If-Match": seen}, **done)
    assert (stale.status_code, stale.json()["type"]) == (
        412,
        "urn:draas:problem:precondition-failed",
    )
    assert await world.state("a") == before
    seen = (await world.client.get(path, params={"enumFormat": form})).headers["etag"]
    answer = await world.client.request(method, path, headers={"If-Match": seen}, **done)
    assert answer.is_success


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", "ok"),
        ("/ready", "ready"),
        ("/api/servers/instances/a", 1),
        ("/api/servers/instances/a/runtime-status", 1),
    ],
)
async def test_integers_where_there_are_any(world: World, path: str, status: Any) -> None:
    await world.create(id="a")
    assert (await world.client.post("/api/servers/instances/a/start")).is_success
    answer = await world.client.get(path, params={"enumFormat": "int"})
    assert (answer.status_code, answer.json()["status"]) == (200, status)


async def test_what_the_server_reports_is_told_in_its_own_words(world: World) -> None:
    source = {"id": "s", "kind": "mock", "status": "of its own"}
    await world.create(id="a", configuration={"sources": [source]})
    assert (await world.client.post("/api/servers/instances/a/start")).is_success
    path = "/api/servers/instances/a/observed"
    integers = await world.client.get(path, params={"enumFormat": "int"})
    names = await world.client.get(path)
    for member in ("configuration", "components"):
        assert integers.json()[member] == names.json()[member]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        pytest.param("1", "Running", id="integer"),
        pytest.param('"running"', "Running", id="name in any case"),
        pytest.param('"Unknown"', "Unknown", id="ours"),
    ],
)
async def test_status_is_put_by_name_or_integer(world: World, body: str, name: str) -> None:
    await world.create(id="a")
    answer = await world.client.put(
        "/api/server/instances/a/status", content=body, headers={"content-type": "application/json"}
    )
    assert answer.json()["status"] == name


@pytest.mark.parametrize("said", ["Running", "Starting", "Stopping", "Unknown"])
@pytest.mark.parametrize(
    ("wanted", "true"),
    [
        pytest.param("Stopped", "Stopped", id="not wanted"),
        pytest.param("Running", "Error", id="wanted"),
    ],
)
async def test_nothing_is_said_to_run_for_long_where_nothing_does(
    world: World, said: str, wanted: str, true: str
) -> None:
    await world.create(id="a", desiredRunState=wanted)
    await world.client.put("/api/servers/instances/a/status", json=said)

    async def corrected() -> bool:
        return bool((await world.state("a"))["status"] == true)

    assert await eventually(corrected)


async def test_platforms_say_what_they_cannot(world: World) -> None:
    found = (await world.client.get("/api/servers/platforms")).json()
    assert {each["platformType"]: each["available"] for each in found} == {
        "Process": True,
        "Docker": False,
        "AKS": False,
    }
    answer = await world.client.post(
        "/api/servers/instances", json={"name": "n", "platformType": "Docker"}
    )
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:draas:problem:platform-unavailable"


@pytest.mark.parametrize(
    "accept", ["text/plain", "text/plain, application/json", "text/plain;q=0.5, text/html;q=0.1"]
)
async def test_text_for_who_asks_for_text(world: World, accept: str) -> None:
    await world.create(id="a")
    answer = await world.client.post("/api/servers/instances/a/start", headers={"Accept": accept})
    assert answer.text == "Instance 'a' started successfully"
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json, text/plain, */*", "text/plain;q=0.1, application/json"]
)
async def test_json_for_who_would_rather_have_that(world: World, accept: str) -> None:
    await world.create(id="a")
    answer = await world.client.post("/api/servers/instances/a/start", headers={"Accept": accept})
    assert answer.json()["changed"] is True


async def test_desired_run_state_follows_the_user_only(world: World) -> None:
    await world.create(id="a", desiredRunState="running")
    assert (await world.state("a"))["desiredRunState"] == "Running"
    keep = {"keepDesiredRunState": "true"}
    await world.client.post("/api/servers/instances/a/start", params=keep)
    stopped = await world.client.post("/api/servers/instances/a/stop", params=keep)
    assert stopped.json()["changed"] is True
    state = await world.state("a")
    assert (state["status"], state["desiredRunState"]) == ("Stopped", "Running")
    await world.client.post("/api/servers/instances/a/stop")
    assert (await world.state("a"))["desiredRunState"] == "Stopped"


async def test_a_start_with_another_configuration_is_applied_and_not_stored(world: World) -> None:
    made = await world.create(id="a")
    body = {"LogLevel": "debug", "Sources": [{"kind": "mock", "id": "m"}]}
    answer = await world.client.post("/api/server/instances/a/start", json=body)
    assert answer.status_code == 200, answer.text
    state = await world.state("a")
    assert state["generation"] == 1
    assert state["desiredDigest"] == made["desiredDigest"]
    assert state["appliedDigest"] != made["desiredDigest"]
    assert state["appliedGeneration"] is None
    refused = await world.client.post("/api/server/instances/a/start")
    assert refused.json()["type"] == "urn:draas:problem:instance-running"


async def test_the_stored_configuration_in_the_body_is_known_as_its_generation(
    world: World,
) -> None:
    await world.create(id="a")
    stored = (await world.client.get("/api/configuration/instances/a")).json()
    await world.client.post("/api/servers/instances/a/start", json=stored)
    assert (await world.state("a"))["appliedGeneration"] == 1


async def test_a_crash_is_an_error_at_once(world: World) -> None:
    await world.create(id="a")
    await world.client.post("/api/servers/instances/a/start")
    cursor = await world.cursor()
    world.platform.crash("a", exit_code=3)

    async def crashed() -> bool:
        return (await world.state("a"))["status"] == "Error"

    assert await eventually(crashed)
    state = await world.state("a")
    assert state["reason"] == "crash: the server ended with exit code 3"
    assert state["appliedDigest"] is None
    assert state["desiredRunState"] == "Running"
    kinds = [each["newStatus"] for each in (await world.changes(cursor))["changes"]]
    assert "Error" in kinds


async def test_a_change_behind_our_back_shows_and_is_no_last_good(world: World) -> None:
    await world.create(id="a", configuration={"sources": [{"kind": "mock", "id": "m"}]})
    await world.client.post("/api/servers/instances/a/start")

    async def good() -> bool:
        return (await world.state("a"))["lastGoodGeneration"] == 1

    assert await eventually(good)
    world.platform.tamper("a", {})

    async def drifted() -> bool:
        state = await world.state("a")
        return state["observedComponentsDigest"] != state["appliedComponentsDigest"]

    assert await eventually(drifted)


async def test_a_failed_start_says_why_and_leaves_nothing(world: World) -> None:
    await world.create(id="a")
    world.platform.fail_launches("a", "no such plugin", exit_code=7)
    answer = await world.client.post("/api/servers/instances/a/start")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:draas:problem:start-failed"
    assert answer.json()["exitCode"] == 7
    state = await world.state("a")
    assert (state["status"], state["desiredRunState"]) == ("Error", "Running")
    assert (state["operation"], state["appliedDigest"]) == (None, None)
    assert state["reason"] == "did not start: no such plugin"
    world.platform.allow_launches("a")
    assert (await world.client.post("/api/servers/instances/a/start")).status_code == 200


async def test_a_server_that_dies_as_it_comes_up_is_an_error(world: World) -> None:
    await world.create(id="a")
    free_start = world.platform.start

    async def short(launch: Any) -> Any:
        running = await free_start(launch)
        world.platform.crash("a", exit_code=5)
        return running

    world.platform.start = short  # type: ignore[method-assign]  # it ends before the answer
    await world.client.post("/api/servers/instances/a/start")

    async def crashed() -> bool:
        return "exit code 5" in str((await world.state("a"))["reason"])

    assert await eventually(crashed)
    assert (await world.state("a"))["status"] == "Error"


WAITING = {"sources": [{"kind": "grpc", "id": "g"}]}
"""May be stored by an instance that is stopped, and waits for the plugin."""


@pytest.mark.parametrize(
    ("call", "stored", "given", "fault"),
    [
        pytest.param(
            "start", {}, {"sources": [{"kind": "nix", "id": "s"}]}, "sources[s].kind", id="given"
        ),
        pytest.param("start", WAITING, None, "sources[g].kind", id="stored"),
        pytest.param("restart", WAITING, None, "sources[g].kind", id="restarted"),
    ],
)
async def test_what_no_server_here_can_run_is_refused_before_anything_changes(
    tmp_path: Path, call: str, stored: dict[str, Any], given: dict[str, Any] | None, fault: str
) -> None:
    kinds = {"sources": ("mock",), "reactions": ("log",)}
    async with served(tmp_path, kinds=kinds) as world:
        await world.create(id="a", configuration=stored)
        before = await world.state("a")
        answer = await world.client.post(f"/api/servers/instances/a/{call}", json=given)
        assert (answer.status_code, answer.json()["type"]) == (
            422,
            "urn:draas:problem:invalid-configuration",
        )
        assert [each["path"] for each in answer.json()["errors"]] == [fault]
        assert await world.state("a") == before
