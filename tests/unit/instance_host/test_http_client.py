"""The HTTP client on real sockets: what counts as an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from draas.instance_host.http_client import ANSWER_LIMIT, AnswerError, Target, send


@asynccontextmanager
async def answering(*parts: bytes) -> AsyncIterator[Target]:
    """A server that sends `parts` to whoever asks, and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Target("127.0.0.1", port, "/", secure=False)


async def ask(target: Target) -> tuple[int, bytes]:
    return await send("POST", target, {}, b"", timeout=20)


ANSWERS = [
    pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"], (200, b"ok"), id="sized"),
    pytest.param([b"HTTP/1.1 200 OK\r\n\r\no", b"k"], (200, b"ok"), id="until its end"),
    pytest.param(
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
        (200, b"ok"),
        id="chunks",
    ),
    pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], (204, b""), id="nothing to say"),
    pytest.param(
        [b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n"],
        (302, b""),
        id="a redirection",
    ),
    pytest.param(
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"],
        (201, b""),
        id="after a word before",
    ),
]


@pytest.mark.parametrize(("parts", "expected"), ANSWERS)
async def test_a_whole_answer(parts: list[bytes], expected: tuple[int, bytes]) -> None:
    async with answering(*parts) as target:
        assert await ask(target) == expected


BROKEN = [
    pytest.param(b"", "without an answer", id="nothing"),
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", "without an answer", id="half a head"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", "without an answer", id="a word before"),
    pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "broke off", id="half a body"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        "broke off",
        id="chunks without an end",
    ),
    pytest.param(b"220 mail.example ESMTP\r\n", "not HTTP", id="another protocol"),
]


@pytest.mark.parametrize(("answer", "reason"), BROKEN)
async def test_what_is_no_whole_answer_is_an_error(answer: bytes, reason: str) -> None:
    async with answering(answer) as target:
        with pytest.raises(AnswerError, match=reason):
            await ask(target)


async def test_of_a_large_body_only_the_beginning_is_kept() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", bytes(4 * ANSWER_LIMIT)) as target:
        status, body = await ask(target)
    assert status == 200
    assert ANSWER_LIMIT <= len(body) < 2 * ANSWER_LIMIT
