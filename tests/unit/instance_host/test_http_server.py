"""The HTTP server on real sockets: answers in their order, streams, and its end."""

from __future__ import annotations

import asyncio

import pytest

from draas.instance_host.http_server import HttpServer, bind
from tests.support.echoing import CLOSE, Echo, exchange, post, served
from tests.support.eventually import eventually


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with served() as (_, port):
        data = post("/echo/1") + post("/echo/2") + post("/echo/3", b"", CLOSE)
        answer = await exchange(port, data)
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
