"""Requests as they arrive on real sockets: what is understood, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from draas.instance_host.http_requests import BODY_LIMIT
from tests.support.echoing import CLOSE, exchange, post, served
from tests.support.eventually import eventually

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


async def test_requests_after_an_offer_of_h2c_are_answered() -> None:
    async with served() as (_, port):
        offer = ("upgrade: h2c", "connection: upgrade")
        first, second = post("/echo/1", b"x", *offer), post("/echo/2", b"x", *offer)
        answer = await exchange(port, first + second + post("/echo/3", b"", CLOSE))
    names = [part[:1] for part in answer.split(b'{"name":"')[1:]]
    assert names == [b"1", b"2", b"3"]


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
