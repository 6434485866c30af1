"""The HTTP server on real sockets: what is refused, and what happens to streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from draas.instance_host.errors import invalid
from draas.instance_host.http_server import (
    BODY_LIMIT,
    HttpServer,
    Request,
    Response,
    bind,
    json_response,
)
from draas.instance_host.routing import Router, parameter
from tests.support.eventually import eventually


class Echo:
    """Routes that show what arrives, and a stream that says when it is closed."""

    def __init__(self) -> None:
        self.router = Router()
        self.router.add("POST", "/echo/{name}", self.echo)
        self.router.add("GET", "/stream", self.stream)
        self.router.add("GET", "/broken", self.broken)
        self.closed = asyncio.Event()

    async def echo(self, request: Request, name: str) -> Response:
        if name == "bad":
            raise invalid("bad name")
        body = {"name": name, "q": parameter(request, "q"), "size": len(request.body)}
        return json_response(body)

    async def broken(self, request: Request) -> Response:
        raise RuntimeError("with a secret")

    async def stream(self, request: Request) -> Response:
        return Response(content_type="text/plain", stream=self.ticks())

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
        b"GET /x HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"400",
        b"upgrade",
        id="upgrade",
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
