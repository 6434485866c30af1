"""One HTTP request at a time: webhooks, pushes that belong elsewhere, a leader's changes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httptools


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


class _Answer:
    def __init__(self) -> None:
        self.complete = False
        self.body = bytearray()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def send(
    method: str, target: Target, headers: dict[str, str], body: bytes, timeout: float
) -> tuple[int, bytes]:
    """Status and body of the answer; `OSError` or `TimeoutError` when there is none."""
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
            return await _read(reader)
        finally:
            writer.close()


async def lines(target: Target, silence: float) -> AsyncGenerator[bytes, None]:
    """The lines of an answer that streams, until its end.

    `OSError` or `TimeoutError` when there is none or it is silent for longer than `silence`
    seconds; `Refused` when it is not a 200.
    """
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
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
            try:
                parser.feed_data(data)
            except httptools.HttpParserError as error:
                raise OSError("the answer is not HTTP") from error
            if parser.get_status_code() == 200 and b"\n" in answer.body:
                *whole, rest = bytes(answer.body).split(b"\n")
                answer.body = bytearray(rest)
                for text in whole:
                    yield text
        if parser.get_status_code() != 200:
            raise Refused(parser.get_status_code(), bytes(answer.body))
    finally:
        writer.close()


class Refused(Exception):  # noqa: N818  it names an answer, not a fault of ours
    """An answer other than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.body = body


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    try:
        while not answer.complete:
            data = await reader.read(65536)
            if not data:
                break
            parser.feed_data(data)
        return parser.get_status_code(), bytes(answer.body)
    except httptools.HttpParserError as error:
        raise OSError("the answer is not HTTP") from error
