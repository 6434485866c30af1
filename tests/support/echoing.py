"""An HTTP server of the instance host that shows what arrives, and raw exchanges with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from draas.instance_host.errors import invalid
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import HttpServer, Response, bind, json_response
from draas.instance_host.routing import Router, parameter

LARGE = bytes(64 * 1024 * 1024)
"""More than sockets hold that nobody reads."""


class Echo:
    """Routes that show what arrives, and a stream that says when it is closed."""

    def __init__(self) -> None:
        self.router = Router()
        self.router.add("POST", "/echo/{name}", self.echo)
        self.router.add("GET", "/stream", self.stream)
        self.router.add("GET", "/broken", self.broken)
        self.router.add("GET", "/large", self.large)
        self.router.add("GET", "/flood", self.flood)
        self.closed = asyncio.Event()
        self.release = asyncio.Event()

    async def echo(self, request: Request, name: str) -> Response:
        if name == "bad":
            raise invalid("bad name")
        if name == "held":
            await self.release.wait()
        body = {
            "name": name,
            "q": parameter(request, "q"),
            "size": len(request.body),
            "type": request.headers.get("content-type"),
        }
        return json_response(body)

    async def broken(self, request: Request) -> Response:
        raise RuntimeError("with a secret")

    async def stream(self, request: Request) -> Response:
        return Response(content_type="text/plain", stream=self.ticks())

    async def large(self, request: Request) -> Response:
        return Response(body=LARGE)

    async def flood(self, request: Request) -> Response:
        return Response(stream=self.floods())

    async def floods(self) -> AsyncGenerator[bytes, None]:
        while True:
            yield LARGE

    async def ticks(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"tick"
            await asyncio.Event().wait()
        finally:
            self.closed.set()


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Echo, int]]:
    echo = Echo()
    server = HttpServer(echo.router)
    sock = bind("127.0.0.1", 0)
    port = sock.getsockname()[1]
    await server.listen(sock)
    try:
        yield echo, port
    finally:
        await server.close()


async def exchange(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


CLOSE = "connection: close"
