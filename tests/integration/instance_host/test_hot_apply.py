"""Changing a running host in drasi-server's safe order leaves what did not change without a gap."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.integration.instance_host.hosts import (
    ALL,
    COUNT,
    configuration,
    order,
    query,
    running,
    source,
)
from tests.support.eventually import eventually
from tests.support.http_backends import Backend

CHEAP = "MATCH (o:Order) WHERE o.price < 100 RETURN o.id AS id"
CHEAPER = "MATCH (o:Order) WHERE o.price < 50 RETURN o.id AS id"


async def test_hot_apply_leaves_the_untouched_query_and_reaction_without_a_gap(
    tmp_path: Path,
) -> None:
    orders = source()
    log = {"kind": "log", "id": "kept", "queries": ["all"]}
    touched = {"kind": "log", "id": "touched", "queries": ["cheap"]}
    document = configuration(
        sources=[orders, source("gone")],
        queries=[query("all", ALL), query("cheap", CHEAP), query("old", COUNT, "gone")],
        reactions=[log, touched],
    )
    async with running(tmp_path, document) as host:
        done = asyncio.Event()

        async def write() -> int:
            """Push without pause; while the source itself is replaced, push again until taken."""
            number = 0
            while not done.is_set():
                status, _ = await host.call("POST", "/sources/orders/push", order(f"o{number}", 7))
                number += status == 200
            return number

        writer = asyncio.create_task(write())
        await host.has_output("[kept]")
        await host.do("DELETE", "/reactions/touched")
        for query_id in ("cheap", "old"):
            await host.do("DELETE", f"/queries/{query_id}")
        await host.do("DELETE", "/sources/gone")
        await host.do("PUT", "/sources/orders", {**orders, "timeoutMs": 5})
        await host.do("POST", "/sources", source("new"))
        await host.do("POST", "/queries", query("cheap", CHEAPER))
        await host.do("POST", "/queries", query("fresh", COUNT, "new"))
        await host.do("POST", "/reactions", touched)
        await host.do("PUT", "/reactions/kept", {**log, "defaultTemplate": {}})
        await host.has_output("[touched]")
        done.set()
        pushed = await writer

        async def all_seen() -> bool:
            return len(host.lines("[kept]")) >= pushed

        await eventually(all_seen)
        seen = [json.loads(line.split(" ", 3)[3])["id"] for line in host.lines("[kept]")]
        assert seen == [f"o{number}" for number in range(pushed)]
        assert len(await host.rows("cheap")) == pushed
        _, snapshot = await host.call("GET", "/snapshot")
        parts = [*snapshot["sources"], *snapshot["queries"], *snapshot["reactions"]]
        assert {part["status"] for part in parts} == {"Running"}
        assert {part["id"] for part in snapshot["sources"]} == {"orders", "new"}


async def test_a_source_that_cannot_change_keeps_its_old_configuration(tmp_path: Path) -> None:
    orders, other = source(), source("other")
    document = configuration(sources=[orders, other], queries=[query("all", ALL)])
    async with running(tmp_path, document) as host:
        taken = {**orders, "port": other["port"]}
        status, answer = await host.call("PUT", "/sources/orders", taken)
        assert status == 500
        assert f"127.0.0.1:{other['port']}" in answer["message"]
        config = (await host.do("GET", "/sources/orders?view=full"))["config"]
        assert config["port"] == orders["port"]
        await host.push(order("a", 1))
        await host.has_rows("all", {"id": "a", "price": 1})


async def test_a_replaced_mock_goes_on_with_its_new_settings(tmp_path: Path) -> None:
    counter = {"type": "counter"}
    slow = {"kind": "mock", "id": "ticks", "intervalMs": 3_600_000, "dataType": counter}
    text = "MATCH (c:Counter) RETURN count(c) AS ticks"
    document = configuration(sources=[slow], queries=[query("ticks", text, "ticks")])
    async with running(tmp_path, document) as host:
        await host.has_rows("ticks", {"ticks": 1})
        await host.do("PUT", "/sources/ticks", {**slow, "intervalMs": 5})

        async def ticking() -> bool:
            rows = await host.rows("ticks")
            return rows[0]["ticks"] > 5

        await eventually(ticking)


async def test_a_replaced_webhook_gets_what_its_old_receiver_had_not_taken(tmp_path: Path) -> None:
    """The call that hangs is given up, and that is told; all rows behind it go to the new one."""
    old, new = Backend("old"), Backend("new")
    await old.start()
    await new.start()
    held = {"url": "/held", "template": "{{after.id}}"}
    hook = {
        "kind": "http",
        "id": "hook",
        "queries": ["all"],
        "baseUrl": f"http://{old.address.host}:{old.port}",
        "timeoutMs": 60000,
        "routes": {"all": {"added": held}},
    }
    document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[hook])
    try:
        async with running(tmp_path, document) as host:
            await host.push(*(order(f"o{number}", number) for number in range(5)))
            await old.held.acquire()
            await host.do(
                "PUT",
                "/reactions/hook",
                {
                    **hook,
                    "baseUrl": f"http://{new.address.host}:{new.port}",
                    "routes": {"all": {"added": {**held, "url": "/taken"}}},
                },
            )

            async def taken() -> bool:
                return len(new.bodies) >= 4

            await eventually(taken)
            assert new.bodies == [b"o1", b"o2", b"o3", b"o4"]
            logs = await host.do("GET", "/reactions/hook/logs")
            assert any("given up" in entry["message"] for entry in logs)
    finally:
        await old.stop()
        await new.stop()


async def test_what_a_deleted_webhook_had_still_to_send_is_told(tmp_path: Path) -> None:
    receiver = await Backend("receiver").start()
    hook = {
        "kind": "http",
        "id": "hook",
        "queries": ["all"],
        "baseUrl": f"http://{receiver.address.host}:{receiver.port}",
        "timeoutMs": 60000,
        "routes": {"all": {"added": {"url": "/held"}}},
    }
    log = {"kind": "log", "id": "log", "queries": ["all"]}
    document = configuration(sources=[source()], queries=[query("all", ALL)], reactions=[hook, log])
    try:
        async with running(tmp_path, document) as host:
            await host.push(*(order(f"o{number}", number) for number in range(5)))
            await receiver.held.acquire()
            await host.has_output('[log] [all] ADD {"id": "o4"')
            await host.do("DELETE", "/reactions/hook")
            await host.has_output("rows lost undelivered: 4")
    finally:
        await receiver.stop()
