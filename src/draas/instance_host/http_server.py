"""A small HTTP/1.1 server: asyncio transports and httptools' parser, nothing else.

Requests of a connection are answered one after the other. A request that cannot be read is refused
when its turn comes, and closes the connection. A stream is sent until it ends or the client goes
away, and then its generator is closed.
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

from draas.instance_host.http_requests import Request, RequestReader

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
        """Stop accepting and end every connection, streams included.

        Requests under way are answered, within 5 s. Who does not read is cut off after 2 s.
        """
        if self._server is not None:
            self._server.close()
        connections = list(self._connections)
        tasks = [task for connection in connections for task in connection.end()]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        unread = [each.lost for each in connections if not each.streaming]
        if unread:
            await asyncio.wait(unread, timeout=LINGER_SECONDS)


class _Connection(asyncio.Protocol):
    def __init__(self, handler: Handler, connections: set[_Connection]) -> None:
        self.streaming = False
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handler = handler
        self._connections = connections
        self._requests = RequestReader(self._take, self._expect, self._refuse)
        self._waiting: deque[tuple[Request, bool] | Response] = deque()
        self._task: asyncio.Task[None] | None = None
        self._expecting = False
        self._ending = False
        self._writable = asyncio.Event()
        self._writable.set()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self.lost.set_result(None)
        self._writable.set()
        if self._task is not None and self.streaming:
            self._task.cancel()  # a request that changes something is finished instead

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if not self.streaming:  # nothing is answered after a stream
            self._requests.feed(data)

    # what was read

    def _take(self, request: Request, keep_alive: bool) -> None:
        self._expecting = False
        self._transport.pause_reading()
        self._enqueue((request, keep_alive))

    def _expect(self) -> None:
        self._expecting = True
        if self._task is None:
            self._continue()

    def _refuse(self, status: int, message: str) -> None:
        self._expecting = False
        self._enqueue(json_response({"code": "INVALID_REQUEST", "message": message}, status))

    def _enqueue(self, turn: tuple[Request, bool] | Response) -> None:
        if self._ending or self._transport.is_closing():
            return
        self._waiting.append(turn)
        if self._task is None:
            self._task = asyncio.ensure_future(self._serve())

    # answers

    def end(self) -> list[asyncio.Task[None]]:
        """Take no more requests; the unfinished one is returned to be waited for."""
        self._waiting.clear()
        self._ending = True
        self._writable.set()
        if self._task is None:
            self._close()
            return []
        if self.streaming:
            self._task.cancel()
        return [self._task]

    async def _serve(self) -> None:
        while self._waiting and not self._transport.is_closing():
            turn = self._waiting.popleft()
            if isinstance(turn, Response):
                self._send_refusal(turn)
                break
            await self._serve_one(*turn)
        self._task = None
        if self._ending:
            self._close()
        elif not self._transport.is_closing():
            self._continue()
            self._transport.resume_reading()

    async def _serve_one(self, request: Request, keep_alive: bool) -> None:
        response = await self._answer(request)
        if self._transport.is_closing():
            return
        if response.stream is not None:
            if request.method != "HEAD":
                await self._send_stream(response)
                return
            await response.stream.aclose()
        self._write_head(
            response, keep_alive, None if response.stream is not None else len(response.body)
        )
        if request.method != "HEAD":
            self._transport.write(response.body)
        if not self._ending:
            await self._writable.wait()
        if not keep_alive:
            self._transport.close()

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
        self.streaming = True
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

    def _send_refusal(self, response: Response) -> None:
        """Answer and end; what still arrives is dropped for a while, or a reset eats the answer."""
        self._write_head(response, keep_alive=False, length=len(response.body))
        self._transport.write(response.body)
        self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)

    def _continue(self) -> None:
        if self._expecting:
            self._expecting = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _close(self) -> None:
        """Close once everything is sent, or a while later whatever is still unread."""
        self._transport.close()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)
