"""Small HTTP servers to route to, in this process, and clients that tell every failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from draas.control_plane.router import Address


class Backend:
    """A server that tells its name, with a record of the bodies that it got.

    `/health` is 200 while it lives; `/status/N` answers N; `/held` answers once `release` is set;
    `/events` is a stream that goes on until `release` is set; `/hangup` closes the connection in
    place of an answer; `/headers` tells those of the request; everything else takes `delays`.
    """

    def __init__(self, name: str, delays: Mapping[str, float] | None = None) -> None:
        self.name = name
        self.bodies: list[bytes] = []
        self.held = asyncio.Semaphore(0)
        self.release = asyncio.Event()
        self.port = 0
        self._delays = delays or {}
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    async def start(self) -> Backend:
        """Listen, on the port of the last time if there was one."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/health", self._health)
        app.router.add_route("*", "/status/{code}", self._status)
        app.router.add_route("*", "/held", self._held)
        app.router.add_get("/events", self._events)
        app.router.add_get("/headers", self._headers)
        app.router.add_route("*", "/hangup", self._hang_up)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Go away at once: the port is closed, and all connections with it."""
        self.release.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _status(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["code"]))

    async def _held(self, _: web.Request) -> web.Response:
        self.held.release()
        await self.release.wait()
        return web.Response(text=self.name)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        self.held.release()
        await response.write(f"data: {self.name}\n\n".encode())
        await self.release.wait()
        await response.write(b"data: end\n\n")
        return response

    async def _headers(self, request: web.Request) -> web.Response:
        told = {name.lower(): value for name, value in request.headers.items()}
        return web.json_response({"x-backend": self.name, **told})

    async def _hang_up(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        await asyncio.sleep(self._delays.get(request.path, 0.0))
        return web.Response(text=self.name)


@dataclass
class Load:
    """Requests without pause, half of them POST, until it is told to stop."""

    url: str
    clients: int = 8
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    @property
    def count(self) -> int:
        return self.answers.total() + len(self.failures)

    async def more(self, requests: int, *, of: str | None = None) -> None:
        """Wait until there were that many more answers, of one backend if one is named."""
        goal = (self.answers[of] if of else self.count) + requests
        async with asyncio.timeout(20):
            while (self.answers[of] if of else self.count) < goal:
                await asyncio.sleep(0.01)

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            number = 0
            while not self._stop.is_set():
                number += 1
                method = ("GET", "POST")[number % 2]
                body = b"x" * 2000 if method == "POST" else None
                try:
                    async with session.request(method, f"{self.url}/work", data=body) as answer:
                        text = await answer.text()
                        if answer.status == 200:
                            self.answers[text] += 1
                        else:
                            self.failures.append(f"{answer.status} {text}")
                except (aiohttp.ClientError, OSError) as error:
                    self.failures.append(repr(error))
                await asyncio.sleep(0.005)
