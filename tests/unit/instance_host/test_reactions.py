"""The sinks of the host's own kinds on real sockets: what is sent, where, and what is noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import HttpServer, Response, bind
from draas.instance_host.reactions import Result, Sink, make_sink
from draas.testing.virtual_time import VirtualClock
from tests.support.ports import free_port

Properties = dict[str, Any]


class Receiver:
    """Takes webhooks: the targets and bodies that it got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str]] = []
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.status = 200
        self.url = ""

    async def take(self, request: Request) -> Response:
        target = request.path + (f"?{request.query}" if request.query else "")
        self.got.append((request.method, target, request.body.decode()))
        self.arrived.set()
        if request.path == "/held":
            await self.release.wait()
        return Response(self.status)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = HttpServer(receiver.take)
    sock = bind("127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    await server.listen(sock)
    try:
        yield receiver
    finally:
        receiver.release.set()
        await server.close()


@asynccontextmanager
async def started(kind: str, properties: Properties) -> AsyncIterator[tuple[Sink, list[str]]]:
    noted: list[str] = []
    sink = make_sink(kind, "r", properties, VirtualClock(), noted.append)
    await sink.start()
    try:
        yield sink, noted
    finally:
        await sink.stop()


def added(name: str, query: str = "q") -> Result:
    return {"query_id": query, "sequence": 1, "results": [{"type": "ADD", "data": {"n": name}}]}


def deleted(name: str) -> Result:
    return {"query_id": "q", "sequence": 1, "results": [{"type": "DELETE", "data": {"n": name}}]}


URLS = [
    pytest.param("/items/{{after.n}}", "New York", "/items/New%20York", id="a blank"),
    pytest.param("/{{after.n}}", "50%&#x?y=1", "/50%25%26%23x%3Fy%3D1", id="what ends a path"),
    pytest.param("/{{after.n}}/x", "a/b", "/a%2Fb/x", id="a slash"),
    pytest.param("/x?n={{after.n}}", "ä&b", "/x?n=%C3%A4%26b", id="a parameter"),
    pytest.param("/ä b?c=d&e=%20", "", "/%C3%A4%20b?c=d&e=%20", id="the template's own"),
    pytest.param("/x/{{{after.n}}}", "a/b?c=d e", "/x/a/b?c=d%20e", id="as it is"),
    pytest.param("{{after.n}}/x", "/a/b", "/a/b/x", id="a path that begins it"),
]


@pytest.mark.parametrize(("template", "name", "target"), URLS)
async def test_values_are_encoded_in_urls(template: str, name: str, target: str) -> None:
    async with receiving() as receiver:
        properties = {"baseUrl": receiver.url, "routes": {"q": {"added": {"url": template}}}}
        async with started("http", properties) as (sink, noted):
            sink.deliver(added(name))
            await sink.settle()
    assert [got[1] for got in receiver.got] == [target]
    assert noted == []


async def test_a_value_may_be_the_whole_url() -> None:
    async with receiving() as receiver:
        properties = {
            "baseUrl": "http://127.0.0.1:1",
            "routes": {"q": {"added": {"url": "{{after.n}}"}}},
        }
        async with started("http", properties) as (sink, noted):
            sink.deliver(added(f"{receiver.url}/a"))
            await sink.settle()
    assert [got[1] for got in receiver.got] == ["/a"]
    assert noted == []


async def test_the_query_of_a_row_without_a_template_is_encoded_too() -> None:
    async with receiving() as receiver, started("http", {"baseUrl": receiver.url}) as (sink, _):
        sink.deliver(added("a", query="my {{query}}/1"))
        await sink.settle()
    assert [got[1] for got in receiver.got] == ["/changes/my%20%7B%7Bquery%7D%7D%2F1"]


CALL = {"url": "/own", "template": "{{operation}}"}
ALL = {"url": "/all", "template": "{{operation}}"}
ONE = {"routes": {"q": {"added": CALL}}}
REST = {"defaultTemplate": {"deleted": ALL}}
TEMPLATES: list[Any] = [
    pytest.param(
        {
            "outputTemplates": {
                "routes": {"q": {"added": CALL}},
                "defaultTemplate": {"deleted": ALL},
            }
        },
        ["/own", "/all"],
        id="2.x",
    ),
    pytest.param(
        {"outputTemplates": {"defaultTemplate": {"added": ALL, "deleted": ALL}}},
        ["/all", "/all"],
        id="2.x for all queries",
    ),
    pytest.param(
        {"outputTemplates": {"routes": {"other": {"added": CALL, "deleted": CALL}}}},
        ["/changes/q", "/changes/q"],
        id="2.x for another query",
    ),
    pytest.param({"outputTemplates": {"add": ALL, "delete": ALL}}, ["/all", "/all"], id="short"),
    pytest.param(
        {"routes": {"q": {"added": CALL}}, "outputTemplates": {"added": ALL, "deleted": ALL}},
        ["/own", "/all"],
        id="1.x before what is for all",
    ),
]


@pytest.mark.parametrize(("properties", "targets"), TEMPLATES)
async def test_templates_of_the_http_reaction(properties: Properties, targets: list[str]) -> None:
    async with (
        receiving() as receiver,
        started("http", {"baseUrl": receiver.url, **properties}) as (sink, noted),
    ):
        sink.deliver(added("a"))
        sink.deliver(deleted("a"))
        await sink.settle()
    assert [got[1] for got in receiver.got] == targets
    assert noted == []


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_every_answer_but_2xx_is_noted(status: int) -> None:
    async with receiving() as receiver:
        receiver.status = status
        async with started("http", {"baseUrl": receiver.url}) as (sink, noted):
            sink.deliver(added("a"))
            await sink.settle()
    assert noted == [f"the receiver answered {status}"]


async def test_a_receiver_that_hangs_up_is_noted() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with started("http", {"baseUrl": url}) as (sink, noted):
            sink.deliver(added("a"))
            await sink.settle()
    assert noted == ["a call failed: the connection was closed without an answer"]


async def test_what_a_stopped_http_reaction_had_not_sent_is_given_back() -> None:
    async with receiving() as receiver:
        held = {"baseUrl": receiver.url, "routes": {"q": {"added": {"url": "/held"}}}}
        async with started("http", held) as (sink, noted):
            for name in ("a", "b", "c"):
                sink.deliver(added(name))
            await receiver.arrived.wait()
            await sink.stop()
            unsent = sink.unsent()
            assert sink.unsent() == []
    assert noted == ["a call was given up before its answer"]
    assert unsent == [added("b"), added("c")]


LINES = [
    pytest.param("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1eh", 1, id="no line ends"),
    pytest.param("a\nb\r\nc\rd", 4, id="line ends"),
    pytest.param("a\n", 2, id="a line end at the end"),
    pytest.param("", 1, id="nothing"),
]


@pytest.mark.parametrize(("text", "lines"), LINES)
async def test_sse_breaks_lines_where_its_format_does(text: str, lines: int) -> None:
    properties = {"routes": {"q": {"added": {"template": "{{after.n}}"}}}}
    [message] = await streamed(properties, "/events", added(text))
    assert [line[:6] for line in message] == ["data: "] * lines
    assert [line[6:] for line in message] == text.replace("\r\n", "\n").replace("\r", "\n").split(
        "\n"
    )


SSE_TEMPLATE = {"template": "T {{after.n}}"}
PATHS: list[Any] = [
    pytest.param({"defaultTemplate": {"added": SSE_TEMPLATE}}, "/events", "T a", id="default"),
    pytest.param(
        {
            "routes": {"q": {"added": {"template": "own"}}},
            "defaultTemplate": {"added": SSE_TEMPLATE},
        },
        "/events",
        "own",
        id="a route before the default",
    ),
    pytest.param(
        {"routes": {"q": {"added": {**SSE_TEMPLATE, "path": "/x"}}}}, "/x", "T a", id="own path"
    ),
    pytest.param(
        {"routes": {"q": {"added": {**SSE_TEMPLATE, "path": "x"}}}},
        "/events/x",
        "T a",
        id="a path below",
    ),
    pytest.param(
        {"routes": {"q": {"added": {"path": "/x"}}}},
        "/x",
        '"results": [{"type": "ADD", "data": {"n": "a"}}]',
        id="own path without a template",
    ),
]


@pytest.mark.parametrize(("properties", "path", "part"), PATHS)
async def test_templates_and_paths_of_sse(properties: Properties, path: str, part: str) -> None:
    [message] = await streamed(properties, path, added("a"))
    assert len(message) == 1
    assert part in message[0]


async def streamed(properties: Properties, path: str, *results: Result) -> list[list[str]]:
    """The lines of each event that a client on `path` gets of `results`."""
    port = free_port()
    async with started("sse", {"host": "127.0.0.1", "port": port, **properties}) as (sink, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b": connected\n\n")
        for result in results:
            sink.deliver(result)
        messages = [await reader.readuntil(b"\n\n") for _ in results]
        writer.close()
    return [message.decode()[:-2].split("\n") for message in messages]
