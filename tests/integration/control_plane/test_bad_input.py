"""Bad input gets its problem, and nothing changes: no level, no configuration, no event."""

import asyncio
import gzip
import json
from itertools import product
from typing import Any

import pytest

from tests.support.control_plane import World
from tests.support.eventually import eventually

PREFIX = "urn:draas:problem:"
CONFIGURATION = "/api/configuration/instances/a"
INSTANCE = "/api/servers/instances/a"
SECRET = "hunter2"


async def everything(world: World) -> Any:
    listed = await world.client.get("/api/servers/instances")
    configuration = await world.client.get(CONFIGURATION)
    return listed.json(), configuration.json(), await world.cursor()


CASES: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "truncated JSON": ("PATCH", CONFIGURATION, {"content": b'[{"op"'}, 400, "malformed-body"),
    "NaN": ("PUT", CONFIGURATION, {"content": b'{"port": NaN}'}, 400, "malformed-body"),
    "a number too large": ("PUT", CONFIGURATION, {"content": b"[1e999]"}, 400, "malformed-body"),
    "not UTF-8": ("PUT", CONFIGURATION, {"content": b'{"a":"\xff"}'}, 400, "malformed-body"),
    "half a surrogate": (
        "PUT",
        CONFIGURATION,
        {"content": b'{"a":"\\ud800"}'},
        400,
        "malformed-body",
    ),
    "one name twice": (
        "PUT",
        CONFIGURATION,
        {"content": b'{"port":1,"port":2}'},
        400,
        "malformed-body",
    ),
    "nested without end": ("PUT", CONFIGURATION, {"content": b"[" * 99999}, 400, "malformed-body"),
    "an empty patch body": ("PATCH", CONFIGURATION, {"content": b""}, 400, "malformed-body"),
    "a patch that is no array": ("PATCH", CONFIGURATION, {"json": {}}, 400, "malformed-body"),
    "an unknown op": (
        "PATCH",
        CONFIGURATION,
        {"json": [{"op": "frobnicate", "path": "/port"}]},
        400,
        "malformed-body",
    ),
    "a failed test after a change": (
        "PATCH",
        CONFIGURATION,
        {
            "json": [
                {"op": "replace", "path": "/logLevel", "value": "debug"},
                {"op": "test", "path": "/port", "value": 1},
            ]
        },
        409,
        "patch-test-failed",
    ),
    "a path that is not there": (
        "PATCH",
        CONFIGURATION,
        {"json": [{"op": "remove", "path": "/sources/9"}]},
        422,
        "patch-path-missing",
    ),
    "an invalid result": (
        "PATCH",
        CONFIGURATION,
        {
            "json": [
                {"op": "replace", "path": "/logLevel", "value": "debug"},
                {"op": "replace", "path": "/port", "value": 70000},
            ]
        },
        422,
        "invalid-configuration",
    ),
    "a whole that is no object": ("PUT", CONFIGURATION, {"json": [1]}, 400, "malformed-body"),
    "a start with a list": ("POST", f"{INSTANCE}/start", {"json": []}, 400, "malformed-body"),
    "an apply with a text": ("POST", f"{INSTANCE}/apply", {"json": ""}, 400, "malformed-body"),
    "a slot with a list": ("POST", f"{INSTANCE}/slots", {"json": []}, 400, "malformed-body"),
    "a slot with a number": ("POST", f"{INSTANCE}/slots", {"json": 0}, 400, "malformed-body"),
    "a slot with a text": ("POST", f"{INSTANCE}/slots", {"json": ""}, 400, "malformed-body"),
    "a plan with false": ("POST", f"{INSTANCE}/slots/plan", {"json": False}, 400, "malformed-body"),
    "a drain without end": (
        "DELETE",
        f"{INSTANCE}/slots/second?drainSeconds=601",
        {},
        400,
        "invalid-parameter",
    ),
    "a stale If-Match": (
        "PUT",
        CONFIGURATION,
        {"json": {}, "headers": {"If-Match": '"7"'}},
        412,
        "precondition-failed",
    ),
    "a compressed body": (
        "PATCH",
        CONFIGURATION,
        {"content": gzip.compress(b"[]"), "headers": {"content-encoding": "gzip"}},
        415,
        "unsupported-media-type",
    ),
    "another media type": (
        "PATCH",
        CONFIGURATION,
        {"content": b"[]", "headers": {"content-type": "application/xml"}},
        415,
        "unsupported-media-type",
    ),
    "nine megabytes": (
        "PUT",
        CONFIGURATION,
        {"content": b'"' + b"x" * (9 << 20) + b'"'},
        413,
        "body-too-large",
    ),
    "an unknown id": (
        "PATCH",
        "/api/configuration/instances/zz",
        {"json": []},
        404,
        "instance-not-found",
    ),
    "an id with a slash": (
        "GET",
        "/api/servers/instances/a%2Fb/start/x",
        {},
        404,
        "route-not-found",
    ),
    "no last good yet": ("GET", f"{CONFIGURATION}/last-good", {}, 404, "no-last-good"),
    "an unknown generation": (
        "GET",
        f"{CONFIGURATION}/history/99",
        {},
        404,
        "generation-not-found",
    ),
    "an unknown route": ("GET", "/api/nothing", {}, 404, "route-not-found"),
    "another method": ("POST", CONFIGURATION, {"json": {}}, 405, "method-not-allowed"),
    "an unknown field": (
        "PUT",
        f"{INSTANCE}/configuration/server/colour",
        {"json": 1},
        404,
        "route-not-found",
    ),
    "a port that is text": (
        "PUT",
        f"{INSTANCE}/configuration/server/port",
        {"json": "x"},
        422,
        "invalid-configuration",
    ),
    "a port by reference": (
        "PUT",
        f"{INSTANCE}/configuration/server/port",
        {"json": "${PORT}"},
        422,
        "invalid-configuration",
    ),
    "a start with an invalid configuration": (
        "POST",
        f"{INSTANCE}/start",
        {"json": {"port": 0}},
        422,
        "invalid-configuration",
    ),
    "a flag that is none": (
        "POST",
        f"{INSTANCE}/stop?keepDesiredRunState=maybe",
        {},
        400,
        "invalid-parameter",
    ),
    "observing what does not run": (
        "GET",
        f"{INSTANCE}/observed",
        {},
        409,
        "instance-not-running",
    ),
    "creating it again": (
        "POST",
        "/api/servers/instances",
        {"json": {"id": "a", "name": "n"}},
        409,
        "instance-exists",
    ),
    "creating with a name like a book": (
        "POST",
        "/api/servers/instances",
        {"json": {"name": "n" * 5000}},
        400,
        "malformed-body",
    ),
    "creating without a name": (
        "POST",
        "/api/servers/instances",
        {"json": {}},
        400,
        "malformed-body",
    ),
    "creating with an id like a path": (
        "POST",
        "/api/servers/instances",
        {"json": {"id": "../x", "name": "n"}},
        400,
        "malformed-body",
    ),
    "creating with labels that are numbers": (
        "POST",
        "/api/servers/instances",
        {"json": {"name": "n", "labels": {"a": 1}}},
        400,
        "malformed-body",
    ),
    "creating with too many labels": (
        "POST",
        "/api/servers/instances",
        {"json": {"name": "n", "labels": {f"k{n}": "" for n in range(65)}}},
        400,
        "malformed-body",
    ),
    "creating with a label of a long key": (
        "POST",
        "/api/servers/instances",
        {"json": {"name": "n", "labels": {"k" * 254: ""}}},
        400,
        "malformed-body",
    ),
    "a label without a key": (
        "PATCH",
        INSTANCE,
        {"json": {"labels": {"": "x"}}},
        400,
        "malformed-body",
    ),
    "too much metadata": (
        "PATCH",
        INSTANCE,
        {"json": {"metadata": {f"k{n}": "" for n in range(65)}}},
        400,
        "malformed-body",
    ),
    "an update with too much metadata": (
        "POST",
        "/api/status/updates",
        {
            "json": {
                "instanceId": "a",
                "source": "d",
                "status": 1,
                "metadata": {f"k{n}": "" for n in range(65)},
            }
        },
        400,
        "malformed-body",
    ),
    "a name taken away": ("PATCH", INSTANCE, {"json": {"name": None}}, 400, "malformed-body"),
    "a label that becomes a number": (
        "PATCH",
        INSTANCE,
        {"json": {"name": "n", "labels": {"a": 1}}},
        400,
        "malformed-body",
    ),
    "a new id": ("PATCH", INSTANCE, {"json": {"id": "b", "name": "n"}}, 400, "malformed-body"),
    "another name of nobody": (
        "PATCH",
        "/api/servers/instances/zz",
        {"json": {"name": "n"}},
        404,
        "instance-not-found",
    ),
    "creating with two faults": (
        "POST",
        "/api/servers/instances",
        {"json": {"name": "n", "configuration": {"port": -1, "logLevel": "loud"}}},
        422,
        "invalid-configuration",
    ),
    "an unknown status": ("PUT", f"{INSTANCE}/status", {"json": 99}, 400, "invalid-parameter"),
    "a status that is an event": (
        "PUT",
        f"{INSTANCE}/status",
        {"json": "ConfigurationChanged"},
        400,
        "invalid-parameter",
    ),
    "an update without a status": (
        "POST",
        "/api/status/updates",
        {"json": {"instanceId": "a", "source": "d"}},
        400,
        "malformed-body",
    ),
    "an update of nobody": (
        "POST",
        "/api/status/updates",
        {"json": {"instanceId": "zz", "source": "d", "status": 1}},
        404,
        "instance-not-found",
    ),
    "a since that is no time": (
        "GET",
        "/api/status/recent-changes?since=yesterday",
        {},
        400,
        "invalid-parameter",
    ),
    "a filter that is no status": (
        "GET",
        "/api/status/recent-changes?statusFilter=blue",
        {},
        400,
        "invalid-parameter",
    ),
    "a cursor that is none": ("GET", "/api/changes?after=7", {}, 400, "invalid-parameter"),
    "a wait that is none": ("GET", "/api/changes?wait=nan", {}, 400, "invalid-parameter"),
    "a limit of none": ("GET", "/api/changes?limit=0", {}, 400, "invalid-parameter"),
    "a limit with a fraction": ("GET", "/api/changes?limit=2.7", {}, 400, "invalid-parameter"),
    "a view that is none": ("GET", "/api/servers/instances?view=x", {}, 400, "invalid-parameter"),
    "a form that is none": (
        "GET",
        "/api/servers/instances?enumFormat=roman",
        {},
        400,
        "invalid-parameter",
    ),
    "a form that is none, by header": (
        "POST",
        f"{INSTANCE}/start",
        {"headers": {"Draas-Enum-Format": "roman"}},
        400,
        "invalid-parameter",
    ),
    "a label that is none": ("GET", "/api/servers/instances?label=x", {}, 400, "invalid-parameter"),
}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "kind"),
    [pytest.param(*case, id=name) for name, case in CASES.items()],
)
async def test_bad_input_changes_nothing(
    world: World, method: str, path: str, sent: dict[str, Any], status: int, kind: str
) -> None:
    await world.create(id="a")
    before = await everything(world)
    answer = await world.client.request(method, path, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["type"] == PREFIX + kind
    assert found["status"] == status
    assert len(found["detail"]) > 10
    assert await everything(world) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        pytest.param("PUT", f"{INSTANCE}/status", "null", "empty or null", id="null"),
        pytest.param("PUT", f"{INSTANCE}/status", "true", "status: true is no", id="true"),
        pytest.param(
            "PATCH", INSTANCE, '{"description": 7}', "description must be text", id="description"
        ),
        pytest.param("GET", f"{CONFIGURATION}/history/x", None, "'x' is no number", id="history"),
    ],
)
async def test_what_is_wrong_is_said_as_it_was_sent(
    world: World, method: str, path: str, body: str | None, said: str
) -> None:
    await world.create(id="a")
    headers = {"content-type": "application/json"}
    answer = await world.client.request(method, path, content=body, headers=headers)
    detail = answer.json()["detail"]
    assert said in detail
    assert "not empty" not in detail


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        pytest.param("/api/servers/instances", "GET, HEAD, POST", id="two routes of one path"),
        pytest.param(CONFIGURATION, "GET, HEAD, PATCH, PUT", id="three"),
        pytest.param(f"{INSTANCE}/start", "POST", id="one"),
    ],
)
async def test_another_method_is_told_all_that_are_served(
    world: World, path: str, allowed: str
) -> None:
    answer = await world.client.request("TRACE", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["detail"].endswith(f"use {allowed}")


async def test_every_fault_is_named_by_its_path(world: World) -> None:
    configuration = {
        "port": 0,
        "queries": [{"id": "q", "query": "MATCH (n) RETURN n", "sources": [{"sourceId": "no"}]}],
        "reactions": [{"kind": "log", "id": "r", "queries": ["nobody"]}],
    }
    answer = await world.client.post(
        "/api/servers/instances", json={"name": "n", "configuration": configuration}
    )
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["errors"]] == [
        "port",
        "queries[q].sources[0].sourceId",
        "reactions[r].queries[0]",
    ]


async def test_problems_keep_secrets(world: World) -> None:
    source = {"kind": "postgres", "id": "pg", "password": SECRET}
    await world.create(id="a", configuration={"sources": [source]})
    operations = [{"op": "test", "path": "/sources/0/password", "value": "guess"}]
    answers = [
        await world.client.patch(CONFIGURATION, json=operations),
        await world.client.put(
            CONFIGURATION, json={"port": 0, "sources": [{"id": 1, "password": SECRET}]}
        ),
    ]
    assert [each.status_code for each in answers] == [409, 422]
    assert all(SECRET not in each.text and "guess" not in each.text for each in answers)
    assert SECRET not in (await world.client.get("/api/status/recent-changes")).text


async def test_a_busy_instance_names_what_holds_it(world: World) -> None:
    await world.create(id="a")
    gate, begun = asyncio.Event(), asyncio.Event()
    free_start = world.platform.start

    async def slow(launch: Any) -> Any:
        begun.set()
        await gate.wait()
        return await free_start(launch)

    world.platform.start = slow  # type: ignore[method-assign]  # a server that takes its time
    headers = {"Draas-Actor": "ali\tce", "Draas-Operation": "op-1"}
    starting = asyncio.create_task(world.client.post(f"{INSTANCE}/start", headers=headers))
    await begun.wait()
    before = await everything(world)
    for (method, path), sent in product(
        [
            ("POST", f"{INSTANCE}/start"),
            ("POST", f"{INSTANCE}/stop"),
            ("POST", f"{INSTANCE}/restart"),
            ("DELETE", INSTANCE),
        ],
        [{}, headers],  # another client, and the same one again
    ):
        refused = await world.client.request(method, path, headers=sent)
        assert refused.status_code == 409
        assert refused.json()["type"] == PREFIX + "instance-busy"
        assert refused.json()["operation"] == {
            "kind": "start",
            "id": "op-1",
            "actor": "alice",
            "startedAt": refused.json()["operation"]["startedAt"],
        }
    assert await everything(world) == before
    gate.set()
    assert (await starting).status_code == 200
    assert (await world.state("a"))["operation"] is None


async def test_an_operation_goes_on_when_its_client_goes_away(world: World) -> None:
    await world.create(id="a")
    gate, begun = asyncio.Event(), asyncio.Event()
    free_start = world.platform.start

    async def slow(launch: Any) -> Any:
        begun.set()
        await gate.wait()
        return await free_start(launch)

    world.platform.start = slow  # type: ignore[method-assign]  # a server that takes its time
    starting = asyncio.create_task(world.client.post(f"{INSTANCE}/start"))
    await begun.wait()
    starting.cancel()
    gate.set()

    async def running() -> bool:
        return (await world.state("a"))["status"] == "Running"

    assert await eventually(running)


async def test_unexpected_failures_say_nothing_of_themselves(world: World) -> None:
    async def broken(_running: Any) -> Any:
        raise RuntimeError(SECRET)

    await world.create(id="a")
    await world.client.post(f"{INSTANCE}/start")
    world.platform.observe = broken  # type: ignore[assignment,method-assign]  # a fault of ours
    answer = await world.client.get(f"{INSTANCE}/observed")
    assert answer.status_code == 500
    assert answer.json()["type"] == PREFIX + "internal-error"
    assert SECRET not in json.dumps(answer.json())
