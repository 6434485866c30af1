"""A server that answers everything in one way, sensible or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from draas.client.http import HttpClient

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def text(body: str, status: int = 200, **headers: str) -> Answer:
    """That body, as JSON, with headers: `Retry_After` is Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            text=body, status=status, headers=named, content_type="application/json"
        )

    return answer


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """The URL at which every request is answered so, until the end of the block."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(answer: Answer) -> AsyncIterator[HttpClient]:
    """A client of such a server."""
    async with serving(answer) as url:
        http = HttpClient(url, actor="test", timeout=5)
        try:
            yield http
        finally:
            await http.close()
