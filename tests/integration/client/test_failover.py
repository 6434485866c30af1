"""Several URLs of one thing: who does not answer is passed over, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from draas.client.http import HttpClient
from draas.client.port import UnreachableError
from draas.contract import routes
from tests.support.ports import free_port

KEY = {routes.IDEMPOTENCY_KEY: "k"}
Talk = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts what reaches it, and treats it in its own way."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.asked = 0
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self._talk(writer)
        writer.close()


async def answer(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    await writer.drain()


async def hang_up(_writer: asyncio.StreamWriter) -> None:
    """Take the request and say nothing."""


async def freeze(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.fixture
async def good() -> AsyncIterator[Server]:
    async with Server(answer).serving() as server:
        yield server


@asynccontextmanager
async def client(*urls: str) -> AsyncIterator[HttpClient]:
    made = HttpClient(",".join(urls), actor="test", timeout=0.5)
    try:
        yield made
    finally:
        await made.close()


def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_where_nobody_listens_the_next_is_asked(good: Server, method: str) -> None:
    async with client(nobody(), nobody(), good.url) as http:
        for _ in range(3):
            assert (await http.request(method, "/x")).status == 200
        assert http.url == good.url, "and from then on it alone"
    assert good.asked == 3


@pytest.mark.parametrize("bad", [hang_up, freeze])
@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {}), ("POST", KEY)], ids=["a read", "a call with a key"]
)
async def test_what_does_no_harm_twice_is_asked_again(
    good: Server, bad: Talk, method: str, headers: dict[str, str]
) -> None:
    async with Server(bad).serving() as other, client(other.url, good.url) as http:
        assert (await http.request(method, "/x", headers=headers)).status == 200


@pytest.mark.parametrize("bad", [hang_up, freeze])
async def test_what_may_have_been_done_is_not_sent_again(good: Server, bad: Talk) -> None:
    async with Server(bad).serving() as other, client(other.url, good.url) as http:
        with pytest.raises(UnreachableError):
            await http.request("POST", "/x")
        assert (other.asked, good.asked) == (1, 0)
        assert (await http.request("POST", "/x")).status == 200, "the next call goes elsewhere"


async def test_who_has_but_one_url_sends_no_order_again() -> None:
    async with Server(hang_up).serving() as other, client(other.url) as http:
        with pytest.raises(UnreachableError):
            await http.request("POST", "/x", headers=KEY)
        assert other.asked == 1


async def test_many_that_fail_at_once_pass_over_nobody(good: Server) -> None:
    async with client(nobody(), good.url, nobody()) as http:
        answers = await asyncio.gather(*(http.request("GET", "/x") for _ in range(20)))
    assert {each.status for each in answers} == {200}
