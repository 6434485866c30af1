"""Many small reads at once: one question a connection at a time, and little in between.

A control plane without a change feed costs a request an instance in every cycle. A general client
spends more on each of them than the answer is worth; this one writes a line and parses the answer
(with httptools, llhttp in C), without a task, a timer or a log line of its own.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

from draas.client.answers import MAXIMUM_BODY, Response, judged
from draas.client.port import ControlPlaneError, GarbageError, UnreachableError

WATCH_SECONDS = 0.5
"""How often it is looked at who has waited too long."""
PATIENCE = 8
"""Once all others are in, nobody is waited for longer than so often the slowest of them,"""
PATIENCE_SECONDS = 2.0
"""and never less than this: one that hangs is not to hold up the whole fleet (B-44)."""

_KEPT = {b"etag": "ETag", b"retry-after": "Retry-After", b"location": "Location"}
_BOUNDED = (b"content-length", b"transfer-encoding")

Answer = Response | ControlPlaneError


class Question(NamedTuple):
    """What to read, and the ETag of what is known of it."""

    path: str
    etag: str | None = None


async def get_all(
    url: str, questions: Sequence[Question], *, actor: str, seconds: float, limit: int
) -> list[Answer]:
    """The answers in the order of the questions: 2xx, 304, or what went wrong with this one.

    At most `limit` connections are used, and each answer may take `seconds`; less, once most have
    answered much faster and nothing else is left to ask. A question whose connection was closed
    before any of its answer came is asked once more.
    """
    return await _Round(url, questions, actor, seconds).answers_over(min(limit, len(questions)))


class _Round:
    """The questions of one call and what has come of them."""

    def __init__(self, url: str, questions: Sequence[Question], actor: str, seconds: float) -> None:
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        host = parts.netloc.rpartition("@")[2]
        self._before = f"GET {parts.path}".encode()
        self._after = (
            f" HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nDraas-Actor: {actor}\r\n"
        ).encode()
        self._questions = questions
        self._left = deque(range(len(questions)))
        self._tried: set[int] = set()
        self._answers: dict[int, Answer] = {}
        self._talking: set[_Conversation] = set()
        self._refused: ControlPlaneError = UnreachableError(f"{url} does not answer")
        self._slowest = 0.0
        self.seconds = seconds
        self.url = url

    async def answers_over(self, connections: int) -> list[Answer]:
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*(self._talk() for _ in range(connections)))
        finally:
            watching.cancel()
            for conversation in self._talking:
                conversation.give_up()
        everyone = range(len(self._questions))
        return [self._answers.get(number, self._refused) for number in everyone]

    def next_question(self) -> tuple[int, bytes] | None:
        """The next one and its request, if any is left."""
        if not self._left:
            return None
        number = self._left.popleft()
        question = self._questions[number]
        known = f"If-None-Match: {question.etag}\r\n\r\n" if question.etag else "\r\n"
        return number, b"".join(
            (self._before, question.path.encode(), self._after, known.encode("latin-1"))
        )

    def answered(self, number: int, answer: Answer) -> None:
        self._answers[number] = answer

    def judge(self, number: int, response: Response, took: float) -> None:
        self._slowest = max(self._slowest, took)
        known = self._questions[number].etag is not None
        self.answered(number, judged(response, conditional=known))

    def cut_off(self, number: int) -> None:
        """Its connection ended before anything of the answer came."""
        if number in self._tried:
            self.answered(number, UnreachableError(f"{self.url} closes the connection"))
        else:
            self._tried.add(number)
            self._left.appendleft(number)

    async def _talk(self) -> None:
        """One connection after the other, until nothing is left to ask."""
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context() if self._tls else None
        while self._left:
            try:
                async with asyncio.timeout(self.seconds):
                    _, conversation = await loop.create_connection(
                        lambda: _Conversation(self, loop.time),
                        self._host,
                        self._port,
                        ssl=context,
                    )
            except (OSError, TimeoutError) as error:
                self._refused = UnreachableError(f"{self.url} does not answer: {error}")
                return
            self._talking.add(conversation)
            await conversation.over
            self._talking.discard(conversation)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(WATCH_SECONDS, self.seconds))
            limit = self._patience()
            for conversation in list(self._talking):
                if loop.time() - conversation.asked_at > limit:
                    conversation.give_up(limit)

    def _patience(self) -> float:
        if self._left or 2 * len(self._answers) < len(self._questions):
            return self.seconds
        return min(self.seconds, max(PATIENCE_SECONDS, PATIENCE * self._slowest))


class _Conversation(asyncio.Protocol):
    """One kept-alive connection: ask, take the whole answer, ask the next."""

    def __init__(self, reads: _Round, clock: Callable[[], float]) -> None:
        self._round = reads
        self._clock = clock
        self._parser = httptools.HttpResponseParser(self)
        self._number: int | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._began = self._is_bounded = False
        self.asked_at = clock()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._began = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(GarbageError(f"the answer is no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """What was asked and not answered is asked elsewhere, or has failed.

        An answer that names no length ends with its connection (RFC 9112, 6.3).
        """
        if self._began and not self._is_bounded and exc is None and self._size:
            self.on_message_complete()
        if self._number is not None:
            if self._began:
                error = UnreachableError(f"{self._round.url} cut its answer off")
                self._round.answered(self._number, error)
            else:
                self._round.cut_off(self._number)
        self._number = None
        if not self.over.done():
            self.over.set_result(None)

    def give_up(self, seconds: float = 0.0) -> None:
        """It takes too long, or nobody wants to know any more."""
        self._fail(UnreachableError(f"no answer from {self._round.url} in {seconds:.3g} s"))

    # What the parser tells

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few that matter."""
        lower = name.lower()
        if lower in _BOUNDED:
            self._is_bounded = True
        elif (kept := _KEPT.get(lower)) is not None:
            self._headers[kept] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        """Keep it, unless it never ends."""
        self._body.append(part)
        self._size += len(part)
        if self._size > MAXIMUM_BODY:
            self._fail(GarbageError(f"the answer exceeds {MAXIMUM_BODY} bytes"))

    def on_message_complete(self) -> None:
        """Tell the answer and ask the next."""
        status = self._parser.get_status_code()
        if self._number is None or status < 200:
            return
        response = Response(status, self._headers, b"".join(self._body))
        self._round.judge(self._number, response, self._clock() - self.asked_at)
        self._number = None
        if self._parser.should_keep_alive() and not self._transport.is_closing():
            self._ask()
        else:
            self._transport.close()

    def _ask(self) -> None:
        following = self._round.next_question()
        if following is None:
            self._transport.close()
            return
        self._number, request = following
        self._headers, self._body, self._size, self._began = {}, [], 0, False
        self._is_bounded = False
        self.asked_at = self._clock()
        self._transport.write(request)

    def _fail(self, error: ControlPlaneError) -> None:
        if self._number is not None:
            self._round.answered(self._number, error)
        self._number = None
        self._transport.abort()
