"""Many reads over few connections, against servers that behave in every way that servers do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from draas.client.answers import Response
from draas.client.many import Answer, Question, get_all
from draas.client.port import ControlPlaneError, GarbageError, RefusedError, UnreachableError

Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""What a server does about a request, given its head."""


class Server:
    """Answers requests one after the other on each connection; notes what it was asked."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.heads: list[bytes] = []
        self.connections = self.together = self._open = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open += 1
        self.together = max(self.together, self._open)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await self._talk(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open -= 1
            writer.close()

    def asked(self) -> list[str]:
        return [head.split(b" ", 2)[1].decode() for head in self.heads]


async def read(
    talk: Talk, *questions: Question, seconds: float = 5.0, limit: int = 3
) -> tuple[list[Answer], Server]:
    server = Server(talk)
    async with server.serving() as url, asyncio.timeout(30):
        return await get_all(url, questions, actor="test", seconds=seconds, limit=limit), server


def plain(body: bytes, *, status: str = "200 OK", more: bytes = b"") -> bytes:
    length = str(len(body)).encode()
    head = b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: " + length + b"\r\n"
    return head + more + b"\r\n" + body


async def echo(head: bytes, writer: asyncio.StreamWriter) -> None:
    """The path as the body, with an ETag, in pieces."""
    answer = plain(head.split(b" ", 2)[1], more=b'ETag: "7"\r\n')
    for part in (answer[:9], answer[9:30], answer[30:]):
        writer.write(part)
        await writer.drain()


QUESTIONS = [Question(f"/x/{number}") for number in range(40)]


async def test_answers_come_in_the_order_of_the_questions_over_few_connections() -> None:
    answers, server = await read(echo, *QUESTIONS)
    assert [each.body.decode() for each in answers if isinstance(each, Response)] == [
        f"/base/x/{number}" for number in range(40)
    ]
    assert {each.headers["ETag"] for each in answers if isinstance(each, Response)} == {'"7"'}
    assert server.connections == 3 and server.together == 3
    assert b"Draas-Actor: test\r\n" in server.heads[0]
    assert b"Host: 127.0.0.1:" in server.heads[0]


async def test_no_question_needs_no_connection() -> None:
    assert await get_all("http://127.0.0.1:1", [], actor="t", seconds=1, limit=5) == []


async def test_what_is_known_is_not_sent_again() -> None:
    async def unchanged(head: bytes, writer: asyncio.StreamWriter) -> None:
        assert b'If-None-Match: "7"\r\n' in head
        writer.write(b'HTTP/1.1 304 Not Modified\r\nETag: "7"\r\n\r\n')

    answers, _ = await read(unchanged, *(Question("/x", '"7"') for _ in range(9)))
    assert [getattr(each, "status", each) for each in answers] == [304] * 9


async def chunked(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"3\r\nfin\r\n1\r\ne\r\n0\r\n\r\n")


async def closing(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(plain(b"fine", more=b"Connection: close\r\n"))
    writer.close()


async def unbounded(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nfine")
    await writer.drain()
    writer.close()


async def informed(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + plain(b"fine"))


@pytest.mark.parametrize("talk", [chunked, closing, unbounded, informed])
async def test_every_way_to_end_an_answer(talk: Talk) -> None:
    answers, _ = await read(talk, *QUESTIONS[:10])
    assert [each.body for each in answers if isinstance(each, Response)] == [b"fine"] * 10


async def test_a_connection_that_was_closed_meanwhile_is_no_failure() -> None:
    answered: set[bytes] = set()

    async def tired(head: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1]
        if path in answered:
            await echo(head, writer)
        else:
            answered.add(path)
            writer.close()

    answers, server = await read(tired, *QUESTIONS[:6])
    assert all(isinstance(each, Response) for each in answers)
    assert sorted(server.asked()) == sorted(2 * [f"/base/x/{number}" for number in range(6)])


async def dumb(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def cut_off(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(plain(b"all of it")[:-3])
    await writer.drain()
    writer.close()


async def slow(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(10)


async def nonsense(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"<html>\r\n\r\n")


async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"100000\r\n" + bytes(0x100000) + b"\r\n")
        await writer.drain()


async def refusing(_: bytes, writer: asyncio.StreamWriter) -> None:
    body = b'{"type": "urn:draas:problem:instance-not-found", "detail": "gone"}'
    writer.write(plain(body, status="404 Not Found", more=b"Retry-After: 7\r\n"))


FAILURES = [
    pytest.param(dumb, UnreachableError, "closes the connection", id="closes without a word"),
    pytest.param(cut_off, UnreachableError, "cut its answer off", id="cut off"),
    pytest.param(slow, UnreachableError, "no answer from", id="slow"),
    pytest.param(nonsense, GarbageError, "no HTTP", id="no HTTP"),
    pytest.param(endless, GarbageError, "exceeds", id="endless"),
    pytest.param(refusing, RefusedError, "gone", id="a problem"),
]


@pytest.mark.parametrize(("talk", "kind", "said"), FAILURES)
async def test_failures_are_told_of_each(
    talk: Talk, kind: type[ControlPlaneError], said: str
) -> None:
    answers, _ = await read(talk, *QUESTIONS[:2], seconds=0.5)
    assert [type(each) for each in answers] == [kind] * 2
    assert all(said in str(each) for each in answers)
    if isinstance(answers[0], RefusedError):
        assert (answers[0].kind, answers[0].retry_after) == ("instance-not-found", 7.0)


async def test_one_that_fails_spoils_no_other() -> None:
    async def moody(head: bytes, writer: asyncio.StreamWriter) -> None:
        await (nonsense if head.split(b" ", 2)[1].endswith(b"5") else echo)(head, writer)

    answers, _ = await read(moody, *QUESTIONS)
    failed = [number for number, each in enumerate(answers) if isinstance(each, GarbageError)]
    assert failed == [5, 15, 25, 35]


async def test_where_nobody_listens_everything_fails_at_once() -> None:
    async with Server(echo).serving() as url:
        pass
    answers = await get_all(url, QUESTIONS, actor="t", seconds=5, limit=3)
    assert {type(each) for each in answers} == {UnreachableError}


async def test_one_that_hangs_holds_nobody_up_once_the_others_are_in() -> None:
    async def moody(head: bytes, writer: asyncio.StreamWriter) -> None:
        if head.split(b" ", 2)[1].endswith(b"/7"):
            await asyncio.Event().wait()
        await echo(head, writer)

    answers, _ = await read(moody, *QUESTIONS, seconds=3600)
    assert [n for n, each in enumerate(answers) if isinstance(each, UnreachableError)] == [7]
