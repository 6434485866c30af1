"""Routes kept by an HAProxy of our own: backends and weights by its socket, addresses by reload."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from draas.adapters.machine.ports import bind_fault
from draas.adapters.routers import haproxy_documents as documents
from draas.adapters.routers.haproxy_socket import LIVE_SECONDS, SOCKET, MasterSocket
from draas.adapters.routers.haproxy_workers import Workers
from draas.adapters.routers.supervised import SupervisedProcess, executable
from draas.control_plane.router import (
    DRAIN_SECONDS,
    Capabilities,
    Counters,
    Route,
    RouterError,
)


class HAProxyRouter:
    """`TrafficRouter` by one HAProxy a directory; nothing runs before the first route.

    `program` is the path of an HAProxy 2.8 or later. A new address needs a reload, in which a new
    worker takes the sockets over and the old one ends what it has: no request fails, but what
    the old worker counts at its very end is lost. Every worker, also one that only ends what it
    has, gets each change of backends and weights.
    """

    kind = "haproxy"
    capabilities = Capabilities(
        opens_ports=False, counters=True, histogram=False, inflight=True, mirror=False
    )

    def __init__(self, directory: Path, program: str) -> None:
        self._directory = directory.resolve()
        self._file = self._directory / "haproxy.cfg"
        self._program = program
        self._socket = MasterSocket(self._directory)
        self._workers = Workers(self._socket)
        arguments = ("-W", "-q", "-S", f"unix@./{SOCKET},mode,600", "-f", str(self._file))
        self._process = SupervisedProcess(self._directory, (program, *arguments))
        self._routes: dict[str, Route] = {}
        self._leaving: set[str] = set()
        self._changing = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def unavailable(self) -> str | None:
        """See `TrafficRouter.unavailable`."""
        if not hasattr(os, "pidfd_open"):
            return "HAProxy is supervised by pidfd, which needs Linux 5.3 or later"
        if not executable(self._program):
            return f"the HAProxy {self._program!r} is not there or not executable"
        return None

    async def open(self, routes: Collection[Route]) -> Mapping[str, RouterError]:
        """See `TrafficRouter.open`: one reload for all of them."""
        found = await self._process.adopt()
        ours = documents.opened(self._file.read_text()) if found else set()
        self._routes.clear()
        failed = {}
        for route in routes:
            if fault := await self._fault(route, ours):
                failed[route.name] = RouterError(fault)
            else:
                self._routes[route.name] = route
        async with self._changing:
            if self._routes:
                await self._load()
            elif found:
                await self._process.stop()
        return failed

    async def ensure(self, route: Route, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.ensure`."""
        async with self._lock(route.name):
            async with self._changing:
                before = self._routes.get(route.name)
                ours = {str(before.listen)} if before else set()
                if fault := await self._fault(route, ours):
                    raise RouterError(fault)
                self._routes[route.name] = route
                if before and (before.listen, before.health) == (route.listen, route.health):
                    self._write()
                    await self._socket.until_ready()
                else:
                    await self._load_or_back(route.name, before)
                await self._workers.apply(route)
            await self._workers.detach(route, drain)

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.remove`."""
        async with self._lock(name):
            route = self._routes.pop(name, None)
            if route is None:
                return
            self._leaving.add(name)
            try:
                async with self._changing:
                    await self._load()
                await self._workers.leave(route, drain)
            finally:
                self._leaving.discard(name)
        async with self._changing:
            if not self._routes and not self._leaving:
                await self._process.stop()

    async def traffic(self, name: str) -> Mapping[str, Counters]:
        """See `TrafficRouter.traffic`."""
        route = self._routes.get(name)
        if route is None:
            raise RouterError(f"there is no route {name!r}")
        return await self._workers.counters(route)

    async def close(self) -> None:
        """See `TrafficRouter.close`."""
        self._process.release()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _fault(self, route: Route, ours: Collection[str]) -> str | None:
        fault = route.fault() or self.unavailable()
        if fault is None and (route.mirrors or route.pushes_to):
            fault = "HAProxy cannot mirror requests"
        for other in self._routes.values():
            if fault is None and other.listen == route.listen and other.name != route.name:
                fault = f"{route.listen} is in use by route {other.name!r}"
        if fault is None and str(route.listen) not in ours:
            fault = await asyncio.to_thread(bind_fault, route.listen.host, route.listen.port)
        return fault

    # The configuration file

    def _write(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        fresh = self._file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(documents.configuration(self._routes.values()))
        fresh.replace(self._file)

    async def _load(self) -> None:
        """Have the routes run as the file says, by a start or a reload."""
        self._write()
        if not self._process.wanted:
            self._process.start()
            try:
                await self._process.until(self._socket.until_ready(), LIVE_SECONDS, once=True)
            except RouterError:
                await self._process.stop()
                raise
            return
        await self._socket.until_ready()
        await self._workers.read()
        await self._socket.reload()
        await self._socket.until_ready()

    async def _load_or_back(self, name: str, before: Route | None) -> None:
        try:
            await self._load()
        except RouterError:
            del self._routes[name]
            if before is not None:
                self._routes[name] = before
            self._write()
            if not self._routes:
                await self._process.stop()
            raise
