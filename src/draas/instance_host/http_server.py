"""A small HTTP/1.1 server: asyncio transports and httptools' parser, nothing else.

Requests of a connection are answered one after the other. A body above 8 MiB is refused with 413,
a malformed request with 400; both close the connection. A stream is sent until it ends or the
client goes away, and then its generator is closed.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import httptools

BODY_LIMIT = 8 * 1024 * 1024
HEADER_LIMIT = 64 * 1024
CLOSE_SECONDS = 5.0
LINGER_SECONDS = 2.0
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
EVENT_STREAM = "text/event-stream"

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_log = logging.getLogger("draas.instance.http")


@dataclass(slots=True)
class Request:
    """One request; header names are in lower case, path and query still percent-encoded."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Response:
    """One answer: a whole body, or a stream of chunks until it ends."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncGenerator[bytes, None] | None = None


Handler = Callable[[Request], Awaitable[Response]]


def json_response(document: Any, status: int = 200) -> Response:
    """A JSON answer."""
    text = json.dumps(document, separators=(",", ":"))
    return Response(status, text.encode())


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet; `OSError` names the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio sets TCP_NODELAY only on sockets that say that they are TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise address_error(host, port, error) from error
    except (TypeError, ValueError) as error:  # a text that cannot be a name
        sock.close()
        raise OSError(errno.EINVAL, f"cannot listen on {host!r}:{port}: {error}") from error
    return sock


def address_error(host: str, port: int, error: OSError) -> OSError:
    """`error` with the address in its text."""
    reason = "address already in use" if error.errno == errno.EADDRINUSE else error.strerror
    return OSError(error.errno, f"cannot listen on {host}:{port}: {reason}")


class HttpServer:
    """Serves one handler on one socket."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def listen(self, sock: socket.socket) -> None:
        """Begin to accept on a bound socket; `OSError` names the address."""
        host, port = sock.getsockname()[:2]
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self._handler, self._connections), sock=sock, backlog=1024
            )
        except OSError as error:
            sock.close()
            raise address_error(host, port, error) from error

    async def close(self) -> None:
        """Stop accepting and end every connection, streams included."""
        if self._server is not None:
            self._server.close()
        tasks = [task for connection in list(self._connections) for task in connection.end()]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)


class _Connection(asyncio.Protocol):
    def __init__(self, handler: Handler, connections: set[_Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._streaming = False
        self._refused = False
        self._writable = asyncio.Event()
        self._writable.set()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._writable.set()
        if self._task is not None and self._streaming:
            self._task.cancel()  # a request that changes something is finished instead

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "no protocol upgrades here")
        except httptools.HttpParserError:
            self._refuse(400, "malformed HTTP request")

    # the parser's callbacks

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._header_size = 0
        self._chunks: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_header(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._count_header(len(name) + len(value))

    def on_headers_complete(self) -> None:
        length = self._headers.get("content-length", "0")
        if length.isdigit() and int(length) > BODY_LIMIT:
            self._too_large()
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > BODY_LIMIT:
            self._too_large()
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        if self._refused or self._transport.is_closing():
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("ascii")
        request = Request(method, path, query, self._headers, b"".join(self._chunks))
        self._waiting.append((request, self._parser.should_keep_alive()))
        self._transport.pause_reading()
        if self._task is None:
            self._task = asyncio.ensure_future(self._serve())

    # answers

    def end(self) -> list[asyncio.Task[None]]:
        """Take no more requests; the unfinished one is returned to be waited for."""
        self._waiting.clear()
        if self._task is None:
            self._transport.close()
            return []
        if self._streaming:
            self._task.cancel()
        return [self._task]

    async def _serve(self) -> None:
        while self._waiting and not self._transport.is_closing():
            request, keep_alive = self._waiting.popleft()
            response = await self._answer(request)
            if self._transport.is_closing():
                return
            if response.stream is not None:
                await self._send_stream(response)
                return
            self._write_head(response, keep_alive, len(response.body))
            if request.method != "HEAD":
                self._transport.write(response.body)
            await self._writable.wait()
            if not keep_alive:
                self._transport.close()
        self._task = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            _log.exception("unexpected failure of %s", request.method)
            return json_response(
                {"code": "INTERNAL_ERROR", "message": "Internal server error"}, 500
            )

    async def _send_stream(self, response: Response) -> None:
        assert response.stream is not None
        self._streaming = True
        self._write_head(response, keep_alive=False, length=None)
        self._transport.resume_reading()  # to notice that the client has gone
        try:
            async with aclosing(response.stream) as chunks:
                async for chunk in chunks:
                    self._transport.write(chunk)
                    await self._writable.wait()
        except asyncio.CancelledError:
            pass  # the client has gone, or the host is going down
        except Exception:
            _log.exception("a stream failed")
        finally:
            self._transport.close()

    def _write_head(self, response: Response, keep_alive: bool, length: int | None) -> None:
        head = [
            f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}",
            f"content-type: {response.content_type}",
            f"connection: {'keep-alive' if keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
        ]
        if length is not None:
            head.append(f"content-length: {length}")
        self._transport.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))

    def _refuse(self, status: int, message: str) -> None:
        """Answer and end; what still arrives is dropped for a while, or a reset eats the answer."""
        if self._refused or self._transport.is_closing():
            return
        self._refused = True
        response = json_response({"code": "INVALID_REQUEST", "message": message}, status)
        self._write_head(response, keep_alive=False, length=len(response.body))
        self._transport.write(response.body)
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def _count_header(self, size: int) -> None:
        self._header_size += size
        if self._header_size > HEADER_LIMIT:
            self._refuse(400, f"headers above {HEADER_LIMIT} bytes")

    def _too_large(self) -> None:
        self._chunks.clear()
        self._refuse(413, f"body above {BODY_LIMIT} bytes")
