"""drasi-server's REST contract, as one real host serves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from yarl import URL

from draas.contract.drasi_server import QUERY_DEFAULTS, STATUSES
from draas.decide.compare import compare_observed
from draas.model.configuration import from_snapshot, observable_digest
from tests.integration.instance_host.hosts import (
    ALL,
    Host,
    configuration,
    order,
    query,
    running,
    source,
)
from tests.support.eventually import eventually


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    document = configuration(
        sources=[source(timeoutMs="${UNSET_FOR_SURE:-10000}")],
        queries=[query("all", ALL)],
        reactions=[{"kind": "log", "id": "log", "queries": ["all"]}],
    )
    async with running(tmp_path, document) as started:
        yield started


async def test_health_versions_and_instances(host: Host) -> None:
    async with host.session.get(f"{host.url}/health") as response:
        health = await response.json()
        assert health["status"] == "ok"
        assert health["timestamp"].endswith("Z")
    async with host.session.get(f"{host.url}/api/versions") as response:
        assert await response.json() == {"versions": ["v1"], "current": "v1"}
    async with host.session.get(f"{host.url}/api/v1/instances") as response:
        answer = await response.json()
    assert (answer["success"], answer["error"]) == (True, None)
    (item,) = answer["data"]
    assert (item["id"], item["source_count"], item["query_count"], item["reaction_count"]) == (
        "shop",
        1,
        1,
        1,
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "http://evil.example"}, id="page"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="browser without an origin"),
    ],
)
async def test_a_web_page_changes_nothing(host: Host, headers: dict[str, str]) -> None:
    mock = json.dumps({"kind": "mock", "id": "evil"}).encode()
    headers = {**headers, "Content-Type": "text/plain"}
    for method, path, body in [
        ("POST", "/sources", mock),
        ("PUT", "/sources/evil", mock),
        ("POST", "/sources/orders/push", json.dumps(order("a", 1)).encode()),
        ("POST", "/queries/all/stop", b""),
        ("DELETE", "/reactions/log", b""),
    ]:
        url = f"{host.url}/api/v1{path}"
        async with host.session.request(method, url, data=body, headers=headers) as response:
            assert response.status == 403
            assert (await response.json())["code"] == "CROSS_SITE"
    _, snapshot = await host.call("GET", "/snapshot")
    assert [part["id"] for part in snapshot["sources"]] == ["orders"]
    assert [part["status"] for part in snapshot["queries"]] == ["Running"]
    assert [part["id"] for part in snapshot["reactions"]] == ["log"]
    async with host.session.get(f"{host.url}/health", headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("kind", ["sources", "queries", "reactions"])
async def test_lists_have_no_configuration_and_full_views_do(host: Host, kind: str) -> None:
    (item,) = await host.do("GET", f"/{kind}")
    assert item.keys() == {"id", "status", "links"}
    assert item["status"] == "Running"
    async with host.session.get(host.url + item["links"]["full"]) as response:
        full = (await response.json())["data"]
    assert full["config"]["id"] == item["id"]
    async with host.session.get(f"{host.url}/api/v1/{kind}") as response:
        assert (await response.json())["data"] == [item]


async def test_links_lead_to_ids_of_any_characters(host: Host) -> None:
    odd = "q é/x%y?z"
    await host.do("POST", "/sources", source(odd))
    links = next(item["links"] for item in await host.do("GET", "/sources") if item["id"] == odd)
    for link in links.values():
        async with host.session.get(URL(host.url + link, encoded=True)) as response:
            assert (await response.json())["data"]["id"] == odd
        assert link.isascii()
    async with host.session.delete(URL(host.url + links["self"], encoded=True)) as response:
        assert response.status == 200


async def test_a_full_query_is_complete_and_a_full_source_raw(host: Host) -> None:
    config = (await host.do("GET", "/queries/all?view=full"))["config"]
    assert QUERY_DEFAULTS.keys() <= config.keys()
    assert (config["autoStart"], config["queryLanguage"]) == (True, "GQL")
    config = (await host.do("GET", "/sources/orders?view=full"))["config"]
    assert config.keys() == {"kind", "id", "host", "port", "timeoutMs"}
    assert config["timeoutMs"] == "${UNSET_FOR_SURE:-10000}"


async def test_the_snapshot_has_everything_in_its_own_spelling(host: Host) -> None:
    status, snapshot = await host.call("GET", "/snapshot")
    assert (status, snapshot["instance_id"]) == (200, "shop")
    (shown,) = snapshot["sources"]
    assert (shown["source_type"], shown["status"], shown["auto_start"]) == ("http", "Running", True)
    assert shown["properties"]["timeoutMs"] == "${UNSET_FOR_SURE:-10000}"
    config = snapshot["queries"][0]["config"]
    assert (config["auto_start"], config["queryLanguage"]) == (True, "GQL")
    assert config["sources"][0]["source_id"] == "orders"
    (shown,) = snapshot["reactions"]
    assert (shown["reaction_type"], shown["queries"]) == ("log", ["all"])
    assert {"from": "orders", "to": "all"} in snapshot["edges"]


async def test_the_snapshot_is_at_the_document_whatever_keys_its_components_have(
    tmp_path: Path,
) -> None:
    odd: dict[str, Any] = {"queries": ["SELECT 1"], "sources": [1], "Odd_key": {"deep": [None]}}
    document = configuration(
        sources=[source(**odd), {"kind": "mock", "id": "m", **odd}],
        queries=[query("all", ALL, joins=[], middleware=[])],
        reactions=[{"kind": "log", "id": "log", **odd, "queries": ["all"]}],
    )
    async with running(tmp_path, document) as host:
        reported = from_snapshot((await host.call("GET", "/snapshot"))[1])
        assert compare_observed(reported, document).summary == ()
        assert observable_digest(reported) == observable_digest(document)


async def test_an_unknown_instance_is_404_for_the_snapshot_and_500_elsewhere(host: Host) -> None:
    base = f"{host.url}/api/v1/instances/other"
    async with host.session.get(f"{base}/snapshot") as response:
        assert (response.status, response.content_type) == (404, "text/plain")
    async with host.session.get(f"{base}/sources") as response:
        assert response.status == 500
        assert (await response.json())["code"] == "INTERNAL_ERROR"


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


FAULTS = [
    pytest.param("GET", "/sources/no", None, 404, "SOURCE_NOT_FOUND", id="unknown source"),
    pytest.param("GET", "/queries/no/results", None, 404, "QUERY_NOT_FOUND", id="unknown query"),
    pytest.param(
        "POST", "/reactions/no/start", None, 404, "REACTION_NOT_FOUND", id="unknown start"
    ),
    pytest.param("DELETE", "/queries/no", None, 500, "QUERY_DELETE_FAILED", id="delete unknown"),
    pytest.param("DELETE", "/sources/orders", None, 500, "SOURCE_DELETE_FAILED", id="source read"),
    pytest.param("DELETE", "/queries/all", None, 500, "QUERY_DELETE_FAILED", id="query taken"),
    pytest.param("POST", "/queries", query("all", ALL), 409, "DUPLICATE_RESOURCE", id="duplicate"),
    pytest.param("POST", "/queries", [], 400, "INVALID_REQUEST", id="not an object"),
    pytest.param(
        "POST", "/queries", {"id": "q", "queryText": ALL}, 400, "INVALID_REQUEST", id="queryText"
    ),
    pytest.param(
        "POST", "/queries", query("q", ALL, colour="red"), 400, "INVALID_REQUEST", id="unknown key"
    ),
    pytest.param(
        "POST",
        "/queries",
        query("q", ALL, "no"),
        500,
        "QUERY_CREATE_FAILED",
        id="unknown source of a query",
    ),
    pytest.param("PUT", "/sources/x", source("y"), 400, "INVALID_REQUEST", id="ids differ"),
    pytest.param(
        "POST",
        "/sources",
        source("s", kind="postgres", password="pw-1"),
        500,
        "SOURCE_CREATE_FAILED",
        id="unknown source kind",
    ),
    pytest.param(
        "POST",
        "/reactions",
        {"kind": "pager", "id": "p", "queries": []},
        500,
        "REACTION_CREATE_FAILED",
        id="unknown reaction kind",
    ),
    pytest.param(
        "POST",
        "/reactions",
        {"kind": "log", "id": "p", "queries": ["no"]},
        500,
        "REACTION_CREATE_FAILED",
        id="unknown query of a reaction",
    ),
    pytest.param(
        "POST",
        "/sources/orders/push",
        {"operation": "grow"},
        400,
        "INVALID_REQUEST",
        id="unknown operation",
    ),
    pytest.param(
        "GET", "/sources/orders/events?limit=x", None, 400, "INVALID_REQUEST", id="bad limit"
    ),
    pytest.param(
        "GET",
        f"/sources/orders/logs?limit={'9' * 5000}",
        None,
        400,
        "INVALID_REQUEST",
        id="endless limit",
    ),
    pytest.param(
        "POST",
        "/sources/orders/push",
        {"operation": "insert", "element": nested(900)},
        400,
        "INVALID_REQUEST",
        id="nesting",
    ),
    pytest.param("GET", "/nothing", None, 404, "NOT_FOUND", id="no route"),
    pytest.param("PUT", "/queries/all", {}, 405, "INVALID_REQUEST", id="no PUT for queries"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), FAULTS)
async def test_bad_requests_change_nothing(
    host: Host, method: str, path: str, body: Any, *, status: int, code: str
) -> None:
    _, before = await host.call("GET", "/snapshot")
    answered, answer = await host.call(method, path, body)
    assert (answered, answer["code"]) == (status, code)
    assert "pw-1" not in answer["message"]
    _, after = await host.call("GET", "/snapshot")
    assert {**after, "timestamp": 0} == {**before, "timestamp": 0}


async def test_an_unknown_kind_names_the_known_ones_and_the_way_out(host: Host) -> None:
    _, answer = await host.call("POST", "/sources", source("s", kind="postgres"))
    assert "'postgres'" in answer["message"]
    assert "http, mock" in answer["message"]
    assert "--plugins-dir" in answer["message"]


async def test_a_bad_text_leaves_a_query_in_error_that_blocks_its_source(host: Host) -> None:
    await host.do("POST", "/sources", source("s2"))
    status, answer = await host.call("POST", "/queries", query("bad", "MATCH nonsense", "s2"))
    assert (status, answer["code"]) == (500, "QUERY_CREATE_FAILED")
    assert "Parser error" in answer["details"]["technical_details"]
    item = await host.do("GET", "/queries/bad")
    assert item["status"] == "Error"
    assert "Parser error" in item["error_message"]
    assert (await host.call("DELETE", "/sources/s2"))[0] == 500
    status, answer = await host.call("POST", "/queries/bad/start")
    assert (status, answer["code"]) == (500, "QUERY_START_FAILED")
    assert "Failed to add query 'bad': " in answer["message"]
    status, answer = await host.call("POST", "/queries/bad/stop")
    assert (status, answer["code"]) == (500, "QUERY_STOP_FAILED")
    assert "query 'bad' does not run, it did not start: " in answer["message"]
    status, answer = await host.call("GET", "/queries/bad/results")
    assert (status, answer["message"]) == (400, "query 'bad' is not running")
    await host.do("DELETE", "/queries/bad")
    await host.do("DELETE", "/sources/s2")


async def test_bodies_may_be_yaml(host: Host) -> None:
    url = f"{host.url}/api/v1/queries"
    headers = {"content-type": "application/yaml; charset=utf-8"}
    text = yaml.safe_dump(query("from-yaml", ALL)).encode()
    async with host.session.post(url, data=text, headers=headers) as response:
        assert response.status == 200
    async with host.session.post(url, data=b"a: [", headers=headers) as response:
        assert response.status == 400
    assert (await host.do("GET", "/queries/from-yaml"))["status"] == "Running"


async def test_a_body_above_8_mib_is_refused(host: Host) -> None:
    url = f"{host.url}/api/v1/queries"
    headers = {"content-length": str(8 * 1024 * 1024 + 1)}
    async with host.session.post(url, data=b"", headers=headers) as response:
        assert response.status == 413


async def test_events_and_logs_are_kept_limited_and_streamed(host: Host) -> None:
    events = await host.do("GET", "/queries/all/events")
    assert [event["status"] for event in events] == ["Added", "Starting", "Running"]
    assert events[0].keys() == {"componentId", "componentType", "status", "timestamp", "message"}
    assert await host.do("GET", "/queries/all/events?limit=1") == events[-1:]
    logs = await host.do("GET", "/sources/orders/logs")
    assert {entry["level"] for entry in logs} == {"Info"}
    url = f"{host.url}/api/v1/queries/all/events/stream"
    async with host.session.get(url) as stream:
        assert stream.content_type == "text/event-stream"
        await stream.content.readuntil(b"\n\n")
        for event in events:
            assert json.loads((await stream.content.readuntil(b"\n\n"))[6:]) == event
        await host.do("POST", "/queries/all/stop")
        event = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
        assert event["status"] == "Stopped"
        assert {event["status"] for event in events} <= STATUSES


async def test_all_events_stream_from_now_on(host: Host) -> None:
    async with host.session.get(f"{host.url}/api/v1/events") as stream:
        await stream.content.readuntil(b"\n\n")
        await host.do("POST", "/sources/orders/stop")
        event = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
        assert (event["componentType"], event["status"]) == ("Source", "Stopping")


async def test_an_attached_stream_ends_when_its_query_is_deleted(host: Host) -> None:
    await host.do("POST", "/queries", query("second", ALL))
    async with host.session.get(f"{host.url}/api/v1/queries/second/attach") as stream:
        await stream.content.readuntil(b"\n\n")
        await host.push(order("a", 1))
        event = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
        assert event["results"][0]["type"] == "ADD"
        await host.do("DELETE", "/queries/second")
        assert await stream.content.read() == b""


async def test_components_stop_and_start(host: Host) -> None:
    for path in ("/sources/orders", "/queries/all", "/reactions/log"):
        await host.do("POST", f"{path}/stop")
        assert (await host.do("GET", path))["status"] == "Stopped"
        await host.do("POST", f"{path}/start")
        assert (await host.do("GET", path))["status"] == "Running"
    await host.push(order("a", 1))
    await host.has_output('[log] [all] ADD {"id": "a", "price": 1}')


async def test_a_batch_can_be_pushed(host: Host) -> None:
    await host.do("POST", "/sources/orders/push", {"events": [order("a", 1), order("b", 2)]})

    async def probe() -> bool:
        return len(await host.rows("all")) == 2

    await eventually(probe)


async def test_a_client_that_leaves_at_once_does_not_leave_half_a_change(host: Host) -> None:
    body = json.dumps(query("orphan", ALL)).encode()
    head = f"POST /api/v1/queries HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    address = host.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(address[0], int(address[1]))
    writer.write(head.encode() + body)
    writer.transport.abort()

    async def whole_or_absent() -> bool:
        items = {item["id"]: item["status"] for item in await host.do("GET", "/queries")}
        return items.get("orphan", "Running") == "Running"

    await eventually(whole_or_absent)
    await host.push(order("a", 1))
    await host.has_rows("all", {"id": "a", "price": 1})


async def test_values_that_the_engine_cannot_take_are_refused(host: Host) -> None:
    status, answer = await host.call("POST", "/queries", query("q", ALL, joins=[{"id": 5}]))
    assert status == 500
    assert answer["code"] == "QUERY_CREATE_FAILED"
    await host.do("DELETE", "/queries/q")
    await host.call("POST", "/sources/orders/push", order("huge", 2**80))
    await host.push(order("a", 1))

    async def heard() -> bool:
        return {"id": "a", "price": 1} in await host.rows("all")

    await eventually(heard)


async def test_odd_text_and_dates_can_be_shown_again(host: Host) -> None:
    url = f"{host.url}/api/v1/sources"
    halved = source("halved", label="\ud800")
    async with host.session.post(url, data=json.dumps(halved).encode()) as response:
        assert response.status == 400, "half a character cannot be shown again"
    async with host.session.post(url, json=source("odd", greek="λ")) as response:
        assert response.status == 200
    dated = yaml.safe_dump(source("dated")).encode() + b"since: 2024-01-31\n"
    headers = {"content-type": "text/yaml"}
    async with host.session.post(url, data=dated, headers=headers) as response:
        assert response.status == 200
    _, snapshot = await host.call("GET", "/snapshot")
    shown = {item["id"]: item["properties"] for item in snapshot["sources"]}
    assert "halved" not in shown
    assert shown["odd"]["greek"] == "λ"
    assert shown["dated"]["since"] == "2024-01-31"
