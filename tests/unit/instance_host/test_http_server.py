"""The HTTP server on real sockets: what is refused, and what happens to streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from draas.instance_host.errors import invalid
from draas.instance_host.http_requests import BODY_LIMIT, Request
from draas.instance_host.http_server import HttpServer, Response, bind, json_response
from draas.instance_host.routing import Router, parameter
from tests.support.eventually import eventually

LARGE = bytes(64 * 1024 * 1024)
"""More than sockets hold that nobody reads."""


class Echo:
    """Routes that show what arrives, and a stream that says when it is closed."""

    def __init__(self) -> None:
        self.router = Router()
        self.router.add("POST", "/echo/{name}", self.echo)
        self.router.add("GET", "/stream", self.stream)
        self.router.add("GET", "/broken", self.broken)
        self.router.add("GET", "/large", self.large)
        self.router.add("GET", "/flood", self.flood)
        self.closed = asyncio.Event()
        self.release = asyncio.Event()

    async def echo(self, request: Request, name: str) -> Response:
        if name == "bad":
            raise invalid("bad name")
        if name == "held":
            await self.release.wait()
        body = {
            "name": name,
            "q": parameter(request, "q"),
            "size": len(request.body),
            "type": request.headers.get("content-type"),
        }
        return json_response(body)

    async def broken(self, request: Request) -> Response:
        raise RuntimeError("with a secret")

    async def stream(self, request: Request) -> Response:
        return Response(content_type="text/plain", stream=self.ticks())

    async def large(self, request: Request) -> Response:
        return Response(body=LARGE)

    async def flood(self, request: Request) -> Response:
        return Response(stream=self.floods())

    async def floods(self) -> AsyncGenerator[bytes, None]:
        while True:
            yield LARGE

    async def ticks(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"tick"
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Echo, int]]:
    echo = Echo()
    server = HttpServer(echo.router)
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    await server.listen(sock)
    try:
        yield echo, port
    finally:
        await server.close()


async def exchange(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


CLOSE = "connection: close"

EXCHANGES = [
    pytest.param(
        post("/echo/a%20b?q=1%2B1", b"xyz", CLOSE),
        b"200",
        b'"a b","q":"1+1","size":3',
        id="decoded path and query",
    ),
    pytest.param(
        post("/echo/bad", b"", CLOSE), b"400", b"INVALID_REQUEST", id="a handler's refusal"
    ),
    pytest.param(post("/echo/", b"", CLOSE), b"404", b"no such route", id="an empty part"),
    pytest.param(
        b"GET /echo/a HTTP/1.1\r\nconnection: close\r\n\r\n", b"405", b"POST", id="method"
    ),
    pytest.param(
        b"GET /broken HTTP/1.1\r\nconnection: close\r\n\r\n",
        b"500",
        b"INTERNAL_ERROR",
        id="a broken handler",
    ),
    pytest.param(b"nonsense\r\n\r\n", b"400", b"malformed", id="not HTTP"),
    pytest.param(
        b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
        b"400",
        b"headers",
        id="endless headers",
    ),
    pytest.param(
        b"POST /echo/a HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n",
        b"413",
        b"body",
        id="announced large body",
    ),
    pytest.param(
        b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"200",
        b'"size":5',
        id="chunks",
    ),
    pytest.param(
        post("/echo/a", b"", "x: " + "y" * 200_000 + "\r\n" + CLOSE),
        b"400",
        b"headers",
        id="a long header that ends",
    ),
    pytest.param(
        b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        b"3\r\nabc\r\n0\r\ncontent-type: application/yaml\r\n\r\n",
        b"200",
        b'"type":null',
        id="trailers are no headers",
    ),
    pytest.param(
        b"POST /x HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n",
        b"404",
        b"no such route",
        id="an upgrade is not taken up",
    ),
    pytest.param(
        post("/echo/a", b"xyz", "upgrade: h2c", "connection: Upgrade, HTTP2-Settings, close"),
        b"200",
        b'"size":3',
        id="an offer of h2c with a body",
    ),
    pytest.param(
        b"POST /echo/a HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n"
        b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"200",
        b'"size":5',
        id="an offer of h2c with chunks",
    ),
    pytest.param(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n", b"400", b"no tunnels", id="a tunnel"),
    pytest.param(
        post("http://x:80/echo/a?q=1", b"", CLOSE), b"200", b'"q":"1"', id="an absolute target"
    ),
    pytest.param(
        b"GET http://x?q HTTP/1.1\r\nconnection: close\r\n\r\n",
        b"404",
        b"no such route",
        id="an absolute target without a path",
    ),
]


@pytest.mark.parametrize(("data", "status", "part"), EXCHANGES)
async def test_one_exchange(data: bytes, status: bytes, part: bytes) -> None:
    async with served() as (_, port):
        answer = await exchange(port, data)
    assert answer.split(b" ", 2)[1] == status
    assert part in answer
    assert b"secret" not in answer


async def test_a_large_body_in_chunks_is_refused_while_it_arrives() -> None:
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /echo/a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(2 * BODY_LIMIT // 0x10000):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        assert (await reader.read(12)).endswith(b"413")
        writer.close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served() as (_, port):
        data = post("/echo/1") + post("/echo/2") + post("/echo/3", b"", CLOSE)
        answer = await exchange(port, data)
    names = [part[:1] for part in answer.split(b'{"name":"')[1:]]
    assert names == [b"1", b"2", b"3"]


async def test_requests_after_an_offer_of_h2c_are_answered() -> None:
    async with served() as (_, port):
        offer = ("upgrade: h2c", "connection: upgrade")
        first, second = post("/echo/1", b"x", *offer), post("/echo/2", b"x", *offer)
        answer = await exchange(port, first + second + post("/echo/3", b"", CLOSE))
    names = [part[:1] for part in answer.split(b'{"name":"')[1:]]
    assert names == [b"1", b"2", b"3"]


REFUSED = [
    pytest.param(b"nonsense\r\n\r\n", b"400", id="not HTTP"),
    pytest.param(b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", b"400", id="long headers"),
    pytest.param(b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n", b"413", id="large body"),
]


@pytest.mark.parametrize(("bad", "status"), REFUSED)
async def test_a_refusal_waits_for_its_turn(bad: bytes, status: bytes) -> None:
    async with served() as (echo, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/echo/held") + bad)
        await writer.drain()
        assert (await exchange(port, post("/echo/a", b"", CLOSE))).startswith(b"HTTP/1.1 200")
        echo.release.set()
        answer = await reader.read()
        writer.close()
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200") and b'"name":"held"' in first
    assert second.startswith(status)


async def test_leave_to_send_a_body_waits_for_its_turn() -> None:
    async with served() as (echo, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = post("/echo/b", b"xyz", "expect: 100-continue", CLOSE)[:-3]
        writer.write(post("/echo/held") + head)
        await writer.drain()
        assert (await exchange(port, post("/echo/a", b"", CLOSE))).startswith(b"HTTP/1.1 200")
        echo.release.set()
        before = await reader.readuntil(b"100 Continue\r\n\r\n")
        assert b'"name":"held"' in before
        writer.write(b"xyz")
        assert b'"name":"b","q":null,"size":3' in await reader.read()
        writer.close()


UNFINISHED = [
    pytest.param(b"GET / HTTP/1.1\r\nx: ", id="a header"),
    pytest.param(b"GET /", id="a target"),
    pytest.param(
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: ", id="a trailer"
    ),
]


@pytest.mark.parametrize("beginning", UNFINISHED)
async def test_what_does_not_end_is_refused_while_it_arrives(beginning: bytes) -> None:
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(beginning)
        answer = asyncio.ensure_future(reader.readline())

        async def refused() -> bool:
            writer.write(b"y" * 0x10000)
            return answer.done()

        await eventually(refused)
        assert answer.result() == b"HTTP/1.1 400 Bad Request\r\n"
        writer.close()


@pytest.mark.parametrize("path", ["/stream", "/large"])
async def test_head_is_answered_without_a_body_and_the_connection_goes_on(path: str) -> None:
    async with served() as (_, port):
        head = f"HEAD {path} HTTP/1.1\r\n\r\n".encode()
        answer = await exchange(port, head + post("/echo/a", b"", CLOSE))
    first, second = answer.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200") and first.endswith(b"\r\n\r\n")
    assert second.startswith(b"200") and b'"name":"a"' in second


@pytest.mark.parametrize("path", ["/large", "/flood"])
async def test_who_does_not_read_is_cut_off_after_the_server_has_closed(path: str) -> None:
    async with served() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")

    async def cut_off() -> bool:
        writer.write(b"\r\n")
        return writer.transport.is_closing()

    await eventually(cut_off)


async def test_a_request_under_way_is_answered_before_its_server_closes() -> None:
    async with served() as (echo, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post("/echo/held"))
        assert (await exchange(port, post("/echo/a", b"", CLOSE))).startswith(b"HTTP/1.1 200")
        asyncio.get_running_loop().call_soon(echo.release.set)
    assert b'"name":"held"' in await reader.read()
    writer.close()


async def test_a_stream_is_closed_when_its_client_goes() -> None:
    async with served() as (echo, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"tick")
        writer.close()

        async def closed() -> bool:
            return echo.closed.is_set()

        await eventually(closed)


async def test_a_stream_is_closed_with_its_server() -> None:
    async with served() as (echo, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"tick")
    assert echo.closed.is_set()
    assert await reader.read() == b""
    writer.close()


async def test_a_taken_address_is_named() -> None:
    async with served() as (_, port):
        with pytest.raises(OSError, match=f"127.0.0.1:{port}: address already in use"):
            await HttpServer(Echo().router).listen(bind("127.0.0.1", port))


@pytest.mark.parametrize("host", ["no\x00host", "x" * 70 + ".example"])
def test_what_is_no_host_is_an_error_that_names_it(host: str) -> None:
    with pytest.raises(OSError, match="cannot listen on "):
        bind(host, 0)
