"""Streams go on across hand-overs: each client is connected to one host, whatever its role."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.instance_host.handover import hand_over, has_state, hosts_in, shop
from tests.integration.instance_host.hosts import (
    ALL,
    Document,
    Host,
    Listener,
    listening,
    order,
    query,
    running,
    source,
)
from tests.support.ports import free_port


def _live(port: int) -> Document:
    """An sse reaction on `port`, and one that is held while another host leads."""
    sse = {"kind": "sse", "id": "live", "queries": ["all"], "host": "127.0.0.1", "port": port}
    return shop(reactions=[sse, {"kind": "log", "id": "log", "queries": ["all"]}])


@pytest.mark.parametrize("path", ["/reactions/log", "/queries/unheard", "/sources/spare"])
async def test_a_deletion_is_the_last_event_of_a_component(tmp_path: Path, path: str) -> None:
    document = shop(reactions=[{"kind": "log", "id": "log", "queries": ["all"]}])
    document["sources"].append(source("spare"))
    document["queries"].append(query("unheard", ALL))
    async with running(tmp_path, document) as host:
        base = f"{host.url}/api/v1"
        async with (
            listening(host.session, f"{base}/events") as everything,
            listening(host.session, f"{base}{path}/events/stream") as own,
        ):
            await host.do("DELETE", path)
            for stream in (everything, own):
                while (entry := await stream.next())["status"] != "Removed":
                    pass
                assert entry["componentId"] == path.rpartition("/")[2]
            assert await asyncio.wait_for(own.content.read(), 10) == b""
        assert (await host.call("GET", f"{path}/events"))[0] == 404


async def test_a_query_that_does_not_start_by_itself_tells_of_no_start(tmp_path: Path) -> None:
    async with running(tmp_path, shop()) as host:
        await host.push(order("a", 1))
        await host.do("POST", "/queries", query("waiting", ALL, autoStart=False))
        status, _ = await host.call("POST", "/queries", query("bad", "MATCH", autoStart=False))
        assert status == 500
        for query_id, expected in (("waiting", ["Added"]), ("bad", ["Added", "Error"])):
            events = await host.do("GET", f"/queries/{query_id}/events")
            assert [event["status"] for event in events] == expected
            assert (await host.do("GET", f"/queries/{query_id}"))["status"] == expected[-1]
        await host.do("POST", "/queries/waiting/start")
        await host.has_rows("waiting", {"id": "a", "price": 1})


async def test_sse_and_attached_clients_of_every_host_hear_every_change_once(
    tmp_path: Path,
) -> None:
    """Through leader, sealed and follower on one side, and back; nobody connects anew."""
    ports = free_port(), free_port()
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(_live(ports[0]))
        await a.push(order("before", 0))
        b = await hosts.follow(a, _live(ports[1]))
        async with (
            _sse(a, ports[0]) as sse_of_a,
            _sse(b, ports[1]) as sse_of_b,
            _attached(a) as rows_of_a,
            _attached(b) as rows_of_b,
        ):
            streams = (sse_of_a, sse_of_b, rows_of_a, rows_of_b)
            leader, follower = a, b
            for number in range(3):
                await leader.push(order(f"o{number}", number))
                await follower.push(order(f"p{number}", number))
                await hand_over(leader, follower)
                leader, follower = follower, leader
                await leader.push(order(f"q{number}", number))
            for stream in streams:
                ids = [await stream.next_id() for _ in range(9)]
                assert ids == [f"{x}{number}" for number in range(3) for x in "opq"]
            await a.push(order("last", 1))
            for stream in streams:
                assert await stream.next_id() == "last"


async def test_a_seal_and_a_retired_host_hand_over_everything_to_their_clients(
    tmp_path: Path,
) -> None:
    """What was pushed in one go is at the clients when the seal answers, and then it goes on."""
    ports = free_port(), free_port()
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(_live(ports[0]))
        b = await hosts.follow(a, _live(ports[1]))
        async with _sse(a, ports[0]) as stream:
            events = [order(f"o{number}", number) for number in range(300)]
            await a.do("POST", "/sources/orders/push", {"events": events})
            sealed = await a.do("POST", "/handover/seal", {"successor": b.url})
            assert sealed == {"sequence": 300}
            waiting = asyncio.create_task(a.push(order("late", 1)))
            await b.do("POST", "/handover/promote", sealed)
            await waiting
            await a.do("POST", "/handover/follow", {"leader": b.url})
            await b.push(order("later", 1))
            expected = [*(f"o{number}" for number in range(300)), "late", "later"]
            assert [await stream.next_id() for _ in expected] == expected
        assert a.lines("[log]")[-1].endswith('{"id": "o299", "price": 299}')


async def test_a_client_hears_nothing_of_what_a_follower_loads(tmp_path: Path) -> None:
    """It connects before the leader has sent the first element, and hears the first change."""
    sse, leader = free_port(), free_port()
    connected = asyncio.Event()

    async def changes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        await connected.wait()
        elements = [_element(f"o{number}") for number in range(1500)]
        change = {**_element("new"), "op": "insert"}
        for document in (
            {"sequence": 7, "terms": [["t", 0]]},
            *({"source": "orders", "element": element} for element in elements),
            {"end": len(elements)},
            {"sequence": 8, "source": "orders", "change": change},
        ):
            writer.write(json.dumps(document).encode() + b"\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(changes, "127.0.0.1", leader)
    follow = ("--follow", f"http://127.0.0.1:{leader}")
    starting = asyncio.ensure_future(_first_event(sse, connected))
    async with running(tmp_path, _live(sse), *follow) as host:
        await has_state(host, role="follower", sequence=8)
        event = await asyncio.wait_for(starting, 20)
        assert [row["data"]["id"] for row in event["results"]] == ["new"]
        assert len(await host.rows("all")) == 1501
    server.close()


def _element(element_id: str) -> Document:
    return {"id": element_id, "labels": ["Order"], "properties": {"id": element_id, "price": 1}}


async def _first_event(port: int, connected: asyncio.Event) -> Any:
    async with aiohttp.ClientSession() as session, listening(session, _url(port)) as stream:
        connected.set()
        return await stream.next()


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/events"


@asynccontextmanager
async def _sse(host: Host, port: int) -> AsyncIterator[Listener]:
    async with listening(host.session, _url(port)) as stream:
        yield stream


@asynccontextmanager
async def _attached(host: Host) -> AsyncIterator[Listener]:
    async with listening(host.session, f"{host.url}/api/v1/queries/all/attach") as stream:
        yield stream
