"""One HTTP request at a time: webhooks, pushes that belong elsewhere, a leader's changes."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httptools

ANSWER_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, read from an http or https URL; `ValueError` if it is neither."""

    host: str
    port: int
    path: str
    secure: bool

    @classmethod
    def of(cls, url: str) -> Target:
        """The parts of `url`."""
        try:
            parts = httptools.parse_url(url.encode())
        except httptools.HttpParserInvalidURLError as error:
            raise ValueError("not an http or https URL") from error
        if parts.schema not in (b"http", b"https") or not parts.host:
            raise ValueError("not an http or https URL")
        secure = parts.schema == b"https"
        path = (parts.path or b"/").decode() + (f"?{parts.query.decode()}" if parts.query else "")
        if any(character <= " " for character in path):
            raise ValueError("a blank or control character in the URL's path")
        return cls(parts.host.decode(), parts.port or (443 if secure else 80), path, secure)


class AnswerError(OSError):
    """No answer, half of one, or one that is not HTTP; its text says which and no more."""


class _Answer:
    """What is known of an answer; its body up to `keep` bytes, the rest is dropped."""

    def __init__(self, keep: float = math.inf) -> None:
        self.body = bytearray()
        self.complete = False
        self._keep = keep
        self._begun = False
        self._sized = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def status(self) -> int:
        status: int = self._parser.get_status_code()
        return status

    def feed(self, data: bytes) -> None:
        """Read on; nothing is the end of the connection. `AnswerError` if it is no answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise AnswerError("the answer is not HTTP") from error
        if not data and not self.complete:
            if not self._begun:
                raise AnswerError("the connection was closed without an answer")
            if self._sized:
                raise AnswerError("the answer broke off")
            self.complete = True  # as one whose length is told by its end

    def on_message_begin(self) -> None:
        self._begun = self._sized = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._sized |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        self._begun = self.status >= 200  # what comes before is an answer to the head alone

    def on_body(self, body: bytes) -> None:
        if len(self.body) < self._keep:
            self.body += body

    def on_message_complete(self) -> None:
        self.complete = self._begun


async def send(
    method: str, target: Target, headers: dict[str, str], body: bytes, timeout: float
) -> tuple[int, bytes]:
    """Status of the answer, and 1 MiB of its body; `OSError` or `TimeoutError` without a whole one.

    What the other side did is an `AnswerError`. Redirections are answers like any other.
    """
    async with asyncio.timeout(timeout):
        context = ssl.create_default_context() if target.secure else None
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
        try:
            host = f"[{target.host}]" if ":" in target.host else target.host
            fields = {"host": f"{host}:{target.port}", **headers}
            fields |= {"content-length": str(len(body)), "connection": "close"}
            if any(c in f"{k}{v}" for k, v in fields.items() for c in "\r\n"):
                raise OSError("a line break in a header")
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"{method} {target.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer = _Answer(ANSWER_LIMIT)
            while not answer.complete:
                answer.feed(await reader.read(65536))
            return answer.status, bytes(answer.body)
        finally:
            writer.close()


async def lines(target: Target, silence: float) -> AsyncGenerator[bytes, None]:
    """The lines of an answer that streams, until its end.

    `OSError` or `TimeoutError` when there is none or it is silent for longer than `silence`
    seconds; `Refused` when it is not a 200.
    """
    answer = _Answer()
    async with asyncio.timeout(silence):
        reader, writer = await asyncio.open_connection(target.host, target.port)
    try:
        head = f"GET {target.path} HTTP/1.1\r\nhost: {target.host}:{target.port}\r\n"
        writer.write(f"{head}connection: close\r\n\r\n".encode())
        while True:
            async with asyncio.timeout(silence):
                data = await reader.read(65536)
            if not data:
                break
            answer.feed(data)
            if answer.status == 200 and b"\n" in answer.body:
                *whole, rest = bytes(answer.body).split(b"\n")
                answer.body = bytearray(rest)
                for text in whole:
                    yield text
        if answer.status != 200:
            raise Refused(answer.status, bytes(answer.body))
    finally:
        writer.close()


class Refused(Exception):  # noqa: N818  it names an answer, not a fault of ours
    """An answer other than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.body = body
