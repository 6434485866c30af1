"""The kinds of sources and reactions, each against the real engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.instance_host.hosts import (
    ALL,
    Host,
    configuration,
    deletion,
    order,
    query,
    running,
    source,
)
from tests.support.eventually import eventually
from tests.support.ports import free_port

MOCKS = [
    pytest.param(
        "counter",
        "MATCH (n:Counter) WHERE n.value <= 2 RETURN n.value AS value",
        [{"value": 1}, {"value": 2}],
        id="counter",
    ),
    pytest.param(
        "sensorReading",
        "MATCH (n:SensorReading) WHERE n.temperature >= 20 AND n.humidity >= 40 "
        "RETURN n.sensor_id AS id",
        [{"id": "sensor_0"}, {"id": "sensor_1"}],
        id="sensorReading",
    ),
    pytest.param(
        "generic",
        "MATCH (n:Generic) RETURN n.message AS message",
        [{"message": "Generic mock data"}],
        id="generic",
    ),
]


@pytest.mark.parametrize(("data_type", "text", "expected"), MOCKS)
async def test_mock_makes_up_data(
    tmp_path: Path, data_type: str, text: str, expected: list[dict[str, Any]]
) -> None:
    mock = {
        "kind": "mock",
        "id": "mock",
        "intervalMs": 5,
        "dataType": {"type": data_type, "sensorCount": 2},
    }
    document = configuration(sources=[mock], queries=[query("made-up", text, "mock")])
    async with running(tmp_path, document) as host:

        async def seen() -> bool:
            rows = await host.rows("made-up")
            return all(row in rows for row in expected)

        await eventually(seen)


async def test_a_mock_that_does_not_start_by_itself_waits(tmp_path: Path) -> None:
    mock = {"kind": "mock", "id": "mock", "intervalMs": 5, "autoStart": False}
    text = "MATCH (n:Generic) RETURN count(n) AS made"
    document = configuration(sources=[mock], queries=[query("made", text, "mock")])
    async with running(tmp_path, document) as host:
        assert (await host.do("GET", "/sources/mock"))["status"] == "Added"
        assert await host.rows("made") == []
        await host.do("POST", "/sources/mock/start")

        async def made() -> bool:
            rows = await host.rows("made")
            return bool(rows) and rows[0]["made"] > 1

        await eventually(made)


async def test_the_http_source_listens_on_its_own_port(tmp_path: Path) -> None:
    orders = source()
    base = f"http://127.0.0.1:{orders['port']}"
    document = configuration(sources=[orders], queries=[query("all", ALL)])
    async with running(tmp_path, document) as host:

        async def post(path: str, body: Any) -> tuple[int, Any]:
            async with host.session.post(base + path, json=body) as response:
                return response.status, await response.json()

        async with host.session.get(f"{base}/health") as response:
            assert response.status == 200
        status, answer = await post("/sources/orders/events", order("a", 1))
        assert (status, answer["success"], answer["error"]) == (200, True, None)
        batch = {"events": [order("b", 2), {"operation": "grow"}, order("a", 9, "update")]}
        status, answer = await post("/sources/orders/events/batch", batch)
        assert answer["message"] == "Processed 2 events successfully, 1 failed"
        await host.has_rows("all", {"id": "a", "price": 9}, {"id": "b", "price": 2})
        assert (await post("/sources/other/events", order("c", 3)))[0] == 400
        assert (await post("/sources/orders/events", {"operation": "delete"}))[0] == 400
        assert (await post("/sources/orders/events", deletion("a")))[0] == 200
        await host.has_rows("all", {"id": "b", "price": 2})
        await host.do("POST", "/sources/orders/stop")
        with pytest.raises(OSError):  # refused, or cut off on a connection that was kept
            await post("/sources/orders/events", order("c", 3))


@asynccontextmanager
async def receiver(calls: list[Any], status: int = 200) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        text = await request.text()
        calls.append((request.method, request.path, request.headers, text))
        return web.Response(status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _received(calls: list[Any], count: int) -> None:
    async def probe() -> bool:
        return len(calls) >= count

    await eventually(probe)


async def _reacting(host: Host) -> None:
    await host.push(order("a", 1), order("a", 2, "update"), deletion("a"))


async def test_the_http_reaction_calls_in_order_with_its_token(tmp_path: Path) -> None:
    calls: list[Any] = []
    async with receiver(calls) as url:
        hook = {"kind": "http", "id": "hook", "queries": ["all"], "baseUrl": url, "token": "tok"}
        document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[hook])
        async with running(tmp_path, document) as host:
            await _reacting(host)
            await _received(calls, 3)
    assert [(method, path) for method, path, _, _ in calls] == [("POST", "/changes/all")] * 3
    assert {headers["authorization"] for _, _, headers, _ in calls} == {"Bearer tok"}
    bodies = [json.loads(text) for *_, text in calls]
    assert [body["type"] for body in bodies] == ["ADD", "UPDATE", "DELETE"]
    assert bodies[1]["before"] == {"id": "a", "price": 1}
    assert bodies[1]["after"] == {"id": "a", "price": 2}


async def test_the_http_reaction_follows_routes_and_output_templates(tmp_path: Path) -> None:
    calls: list[Any] = []
    async with receiver(calls) as url:
        added = {"url": "/orders", "method": "PUT", "body": '{"price": {{after.price}}}'}
        deleted = {
            "url": "/orders/{{before.id}}",
            "method": "DELETE",
            "template": "",
            "headers": {"X-Query": "{{query_name}}"},
        }
        hook = {
            "kind": "http",
            "id": "hook",
            "queries": ["all"],
            "baseUrl": url,
            "routes": {"all": {"added": added}},
            "outputTemplates": {"delete": deleted},
        }
        document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[hook])
        async with running(tmp_path, document) as host:
            await _reacting(host)
            await _received(calls, 3)
    assert [(method, path) for method, path, _, _ in calls] == [
        ("PUT", "/orders"),
        ("POST", "/changes/all"),
        ("DELETE", "/orders/a"),
    ]
    assert calls[0][3] == '{"price": 1}'
    assert calls[2][2]["x-query"] == "all"


async def test_the_log_reaction_prints_by_its_templates(tmp_path: Path) -> None:
    log = {
        "kind": "log",
        "id": "log",
        "queries": ["all"],
        "defaultTemplate": {"added": {"template": "new {{after.id}} for {{json after}}"}},
    }
    document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[log])
    async with running(tmp_path, document) as host:
        await _reacting(host)
        await host.has_output("[log] [all] DELETE")
        assert host.lines("[log]") == [
            '[log] [all] ADD new a for {"id": "a", "price": 1}',
            '[log] [all] UPDATE {"before": {"id": "a", "price": 1}, '
            '"after": {"id": "a", "price": 2}}',
            '[log] [all] DELETE {"id": "a", "price": 2}',
        ]


async def test_the_sse_reaction_streams_results_and_heartbeats(tmp_path: Path) -> None:
    live = {
        "kind": "sse",
        "id": "live",
        "queries": ["all"],
        "host": "127.0.0.1",
        "port": free_port(),
        "ssePath": "/live",
        "heartbeatIntervalMs": 20,
    }
    document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[live])
    async with running(tmp_path, document) as host:
        async with host.session.get(f"http://127.0.0.1:{live['port']}/live") as stream:
            assert stream.content_type == "text/event-stream"
            await stream.content.readuntil(b"\n\n")

            async def next_event() -> Any:
                return json.loads((await stream.content.readuntil(b"\n\n"))[6:])

            assert (await next_event())["type"] == "heartbeat"
            await host.push(order("a", 1))
            async with asyncio.timeout(20):
                event = await next_event()
                while event.get("type") == "heartbeat":
                    event = await next_event()
            assert event["queryId"] == "all"
            assert event["results"][0]["data"] == {"id": "a", "price": 1}
            await host.do("DELETE", "/reactions/live")
        with pytest.raises(OSError, match=r"refused|Cannot connect"):
            await host.session.get(f"http://127.0.0.1:{live['port']}/live")


async def test_a_slow_receiver_loses_rows_but_blocks_nobody(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    hook = {"kind": "http", "id": "hook", "queries": ["all"], "baseUrl": url, "timeoutMs": 60000}
    document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[hook])
    async with running(tmp_path, document) as host:
        events = [order(f"o{number}", number) for number in range(1100)]
        await host.do("POST", "/sources/orders/push", {"events": events})

        async def all_there_and_some_dropped() -> bool:
            logs = await host.do("GET", "/reactions/hook/logs")
            dropped = any("rows dropped" in entry["message"] for entry in logs)
            return dropped and len(await host.rows("all")) == 1100

        await eventually(all_there_and_some_dropped, within=30)
    release.set()
    server.close()
