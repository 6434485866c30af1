"""Desired configurations over HTTP: generations, history, atomic patches, the bulk stream."""

import asyncio
import gzip
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from draas.control_plane.options import ConfigurationsOptions
from draas.model.configuration import digest
from draas.model.patch import apply_patch
from tests.support.control_plane import FAST, World, served
from tests.support.documents import REALISTIC, unhurried
from tests.support.eventually import eventually

PATH = "/api/configuration/instances/a"


def replaced(path: str, value: Any) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": path, "value": value}]


@pytest.mark.parametrize("media_type", ["application/json-patch+json", "application/json"])
async def test_a_patch_makes_a_generation_with_its_history(world: World, media_type: str) -> None:
    await world.create(id="a")
    first = await world.client.get(PATH)
    assert first.headers["etag"].startswith('"1-')
    answer = await world.client.patch(
        PATH,
        content=json.dumps(replaced("/logLevel", "debug")),
        headers={
            "content-type": media_type,
            "If-Match": '"1"',
            "Draas-Actor": "alice",
            "Draas-Operation": "op",
        },
    )
    assert answer.status_code == 202
    assert answer.headers["draas-generation"] == "2"
    assert answer.headers["draas-digest"] == digest(answer.json())
    assert (await world.client.get(PATH)).json() == answer.json()
    fresh = await world.client.get(PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert (fresh.status_code, fresh.content) == (304, b"")
    history = (await world.client.get(f"{PATH}/history")).json()
    assert [each["generation"] for each in history] == [2, 1]
    assert (history[0]["actor"], history[0]["operationId"]) == ("alice", "op")
    assert (await world.client.get(f"{PATH}/history/1")).json() == first.json()
    change = (await world.client.get("/api/status/recent-changes?statusFilter=4")).json()[0]
    assert change["newStatus"] == "ConfigurationChanged"
    assert change["metadata"]["ChangeType"] == "PatchApplied"
    assert (await world.state("a"))["status"] == "Created"


async def test_a_patch_that_changes_nothing_makes_no_generation(world: World) -> None:
    await world.create(id="a")
    cursor = await world.cursor()
    answer = await world.client.patch(PATH, json=replaced("/logLevel", "info"))
    assert (answer.status_code, answer.headers["draas-generation"]) == (202, "1")
    assert await world.cursor() == cursor


async def test_values_in_another_order_make_no_generation(world: World) -> None:
    await world.create(id="a", configuration=REALISTIC)
    cursor = await world.cursor()
    stored = (await world.client.get(PATH)).json()
    turned = {key: stored[key] for key in reversed(stored)}
    for answer in (
        await world.client.put(PATH, json=turned),
        await world.client.patch(PATH, json=[{"op": "remove", "path": "/port"}]),
    ):
        assert (answer.status_code, answer.headers["draas-generation"]) == (202, "1")
    assert await world.cursor() == cursor


async def test_what_is_written_in_another_way_is_read_so(world: World) -> None:
    made = await world.create(id="a")
    answer = await world.client.patch(PATH, json=replaced("/logLevel", "INFO"))
    assert answer.headers["draas-generation"] == "2"
    assert answer.headers["draas-digest"] == made["desiredDigest"]
    assert (await world.client.get(PATH)).json()["logLevel"] == "INFO"


async def test_every_patch_is_an_event_whatever_the_status(world: World) -> None:
    await world.create(id="a")

    async def events_of(value: str) -> list[str]:
        cursor = await world.cursor()
        await world.client.patch(PATH, json=replaced("/logLevel", value))
        found = (await world.changes(cursor))["changes"]
        return [each["kind"] for each in found if each["source"] == "Api"]

    assert await events_of("debug") == ["ConfigurationChanged"]
    assert await events_of("warn") == ["ConfigurationChanged"]
    await world.client.post("/api/servers/instances/a/start")
    assert await events_of("error") == ["ConfigurationChanged"]
    await world.client.post("/api/servers/instances/a/stop")
    assert await events_of("info") == ["ConfigurationChanged"]
    state = await world.state("a")
    assert (state["status"], state["desiredRunState"]) == ("Stopped", "Stopped")


@pytest.mark.parametrize("part", ["configuration/server", "server-configuration"])
async def test_the_server_part(world: World, part: str) -> None:
    await world.create(id="a", configuration={"port": 9100})
    path = f"/api/server/instances/a/{part}"
    assert (await world.client.get(path)).json() == {
        "host": "127.0.0.1",
        "port": 9100,
        "logLevel": "info",
    }
    patched = await world.client.patch(path, json=replaced("/serverConfiguration/port", 9101))
    assert patched.json()["port"] == 9101
    for field, value in {"Host": "0.0.0.0", "port": 9102, "logLevel": "debug"}.items():
        put = await world.client.put(
            f"/api/server/instances/a/configuration/server/{field}", json=value
        )
        assert put.status_code == 200, put.text
    assert put.json() == {"host": "0.0.0.0", "port": 9102, "logLevel": "debug"}
    assert (await world.state("a"))["generation"] == 5


@pytest.mark.parametrize("part", ["configuration/server", "server-configuration"])
async def test_a_patch_of_the_server_part_leaves_the_rest(world: World, part: str) -> None:
    await world.create(id="a", configuration=REALISTIC | {"port": 9100})
    path = f"/api/servers/instances/a/{part}"
    before = (await world.client.get(PATH)).json()
    shown = (await world.client.get(path)).json()
    replacing = await world.client.patch(path, json=replaced("", shown | {"port": 9101}))
    assert (replacing.status_code, replacing.json()) == (200, shown | {"port": 9101})
    after = (await world.client.get(PATH)).json()
    assert after == before | {"port": 9101}
    for elsewhere in (
        {"op": "remove", "path": "/queries/0"},
        {"op": "add", "path": "/enableUi", "value": False},
        {"op": "replace", "path": "", "value": before},
    ):
        refused = await world.client.patch(path, json=[*replaced("/port", 9102), elsewhere])
        assert refused.status_code == 422
        assert refused.json()["type"] == "urn:draas:problem:patch-path-missing"
    assert (await world.client.get(PATH)).json() == after


async def test_a_whole_that_names_no_port_keeps_it(world: World) -> None:
    await world.create(id="a")
    port = (await world.client.get(PATH)).json()["port"]
    answer = await world.client.put(PATH, json={"Sources": [{"kind": "mock", "id": "m"}]})
    assert answer.json()["port"] == port
    assert answer.json()["sources"] == [{"kind": "mock", "id": "m"}]


async def test_patches_at_once_are_all_there(world: World) -> None:
    await world.create(id="a", labels={})

    async def add(number: int) -> int:
        source = {"kind": "mock", "id": f"s{number}"}
        operations = [{"op": "add", "path": "/sources/-", "value": source}]
        return (await world.client.patch(PATH, json=operations)).status_code

    assert set(await asyncio.gather(*(add(number) for number in range(20)))) == {202}
    found = (await world.client.get(PATH)).json()
    assert {each["id"] for each in found["sources"]} == {f"s{number}" for number in range(20)}
    assert (await world.state("a"))["generation"] == 21


async def test_of_two_with_the_same_if_match_one_wins(world: World) -> None:
    await world.create(id="a")

    async def patch(value: str) -> int:
        headers = {"If-Match": '"1"'}
        return (
            await world.client.patch(PATH, json=replaced("/logLevel", value), headers=headers)
        ).status_code

    assert sorted(await asyncio.gather(patch("debug"), patch("warn"))) == [202, 412]
    assert (await world.state("a"))["generation"] == 2


async def test_an_etag_does_not_outlive_its_instance(world: World) -> None:
    await world.create(id="a")
    etag = (await world.client.get(PATH)).headers["etag"]
    assert (await world.client.delete("/api/servers/instances/a")).status_code == 204
    await world.create(id="a")
    again = await world.client.get(PATH, headers={"If-None-Match": etag})
    assert (again.status_code, again.headers["draas-generation"]) == (200, "1")
    change = replaced("/logLevel", "debug")
    for if_match, status in ((etag, 412), (again.headers["etag"], 202)):
        answer = await world.client.patch(PATH, json=change, headers={"If-Match": if_match})
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(['"7"', '"1"'], 202, id="the second line"),
        pytest.param(['"7", "1"', '"8"'], 202, id="within a line"),
        pytest.param(['"7"', '"8"'], 412, id="neither"),
    ],
)
async def test_if_match_may_come_in_several_lines(
    world: World, lines: list[str], status: int
) -> None:
    await world.create(id="a")
    headers = [("If-Match", each) for each in lines]
    answer = await world.client.patch(PATH, json=replaced("/port", 9101), headers=headers)
    assert answer.status_code == status


async def test_the_bulk_stream(world: World) -> None:
    for number in range(300):
        await world.create(id=f"i{number:03}", configuration={"port": 20000 + number})
    raw = await world.client.get("/api/configurations", headers={"Accept-Encoding": "identity"})
    lines = [json.loads(line) for line in raw.text.splitlines()]
    assert [each["id"] for each in lines] == [f"i{number:03}" for number in range(300)]
    assert all(digest(each["configuration"]) == each["digest"] for each in lines)
    async with world.client.stream(
        "GET", "/api/configurations", headers={"Accept-Encoding": "gzip"}
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join([piece async for piece in answer.aiter_raw()])
    assert gzip.decompress(packed).decode() == raw.text
    assert len(packed) < len(raw.content) / 3
    refused = {"Accept-Encoding": "gzip;q=0"}
    plain = await world.client.get("/api/configurations", headers=refused)
    assert "content-encoding" not in plain.headers


operations = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "test"]),
            "path": st.sampled_from(
                ["/port", "/logLevel", "/sources/0", "/sources/9", "/queries/0/query", "/x-y", "x"]
            ),
            "value": st.sampled_from([8085, 0, "debug", "loud", None, {"kind": "mock", "id": "m"}]),
        }
    ),
    max_size=4,
)


def test_a_patch_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    numbers = count()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(served(tmp_path)))

        @settings(unhurried, max_examples=60)
        @given(operations)
        def whole(asked: list[dict[str, Any]]) -> None:
            runner.run(check(world, f"i{next(numbers)}", asked))

        try:
            whole()
        finally:
            runner.run(stack.aclose())


async def check(world: World, instance_id: str, asked: list[dict[str, Any]]) -> None:
    path = f"/api/configuration/instances/{instance_id}"
    await world.create(id=instance_id, configuration=REALISTIC)
    before = (await world.client.get(path)).json()
    answer = await world.client.patch(path, json=asked)
    after = (await world.client.get(path)).json()
    if answer.status_code == 202:
        given_back = {key: after[key] for key in ("host", "port", "logLevel")}
        assert after == answer.json()
        assert after == given_back | apply_patch(before, asked) | given_back
    else:
        assert answer.status_code in (400, 409, 422)
        assert after == before


async def test_an_id_that_is_used_again_has_nothing_of_its_predecessor(world: World) -> None:
    # Explicit and implied defaults have one digest, so only the text tells the two apart.
    mock = {"kind": "mock", "id": "m"}
    first = await world.create(id="a", configuration={"port": 9100, "sources": [mock]})
    assert (await world.client.get(PATH)).json()["sources"] == [mock]
    await world.client.delete("/api/servers/instances/a")
    explicit = mock | {"autoStart": True}
    second = await world.create(id="a", configuration={"port": 9100, "sources": [explicit]})
    assert second["desiredDigest"] == first["desiredDigest"]
    assert (await world.client.get(PATH)).json()["sources"] == [explicit]
    assert len((await world.client.get(f"{PATH}/history")).json()) == 1


async def test_the_history_has_an_end(tmp_path: Path) -> None:
    short = replace(FAST, configurations=ConfigurationsOptions(retention=3))
    async with served(tmp_path, settings=short) as world:
        await world.create(id="a")
        await world.client.post("/api/servers/instances/a/start")

        async def good() -> bool:
            return bool((await world.state("a"))["lastGoodGeneration"])

        assert await eventually(good)
        for number in range(10):
            await world.client.patch(
                PATH, json=[{"op": "add", "path": "/hotReloadDebounceMs", "value": number + 1}]
            )
        history = (await world.client.get(f"{PATH}/history")).json()
        assert [each["generation"] for each in history] == [11, 10, 9, 1]
        assert (await world.client.get(f"{PATH}/last-good")).status_code == 200
        gone = await world.client.get(f"{PATH}/history/5")
        assert gone.json()["type"] == "urn:draas:problem:generation-not-found"


async def test_a_configuration_does_not_outgrow_what_may_be_sent(world: World) -> None:
    await world.create(id="a", configuration={"sources": [{"kind": "mock", "id": "s"}]})
    part = "x" * 3_000_000
    statuses = [
        (
            await world.client.patch(
                "/api/configuration/instances/a",
                json=[{"op": "add", "path": f"/sources/0/part{n}", "value": part}],
            )
        ).status_code
        for n in range(3)
    ]
    assert statuses == [202, 202, 422]
    assert (await world.state("a"))["generation"] == 3
