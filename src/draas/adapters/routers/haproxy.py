"""Routes kept by an HAProxy of our own: backends and weights by its socket, addresses by reload."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from weakref import WeakValueDictionary

from draas.adapters.platforms.ports import bind_fault
from draas.adapters.routers import haproxy_documents as documents
from draas.adapters.routers.haproxy_documents import Row, Totals
from draas.adapters.routers.haproxy_socket import SOCKET, MasterSocket
from draas.adapters.routers.names import encoded
from draas.adapters.routers.supervised import SupervisedProcess, executable
from draas.control_plane.router import (
    DRAIN_SECONDS,
    Capabilities,
    Counters,
    Route,
    RouterError,
)

_DRAIN_POLL_SECONDS = 0.05


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
        arguments = ("-W", "-q", "-S", f"unix@./{SOCKET},mode,600", "-f", str(self._file))
        self._process = SupervisedProcess(self._directory, (program, *arguments))
        self._routes: dict[str, Route] = {}
        self._leaving: set[str] = set()
        self._changing = asyncio.Lock()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._seen: dict[int, Totals] = {}
        self._gone: Totals = Counter()

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
            fault = await self._fault(route, ours)
            if fault is None:
                self._routes[route.name] = route
            else:
                failed[route.name] = RouterError(fault)
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
                ours = {str(each.listen) for each in self._routes.values()}
                if fault := await self._fault(route, ours):
                    raise RouterError(fault)
                self._routes[route.name] = route
                if before and (before.listen, before.health) == (route.listen, route.health):
                    self._write()
                    await self._socket.until_ready()
                else:
                    await self._load_or_back(route.name, before)
                for worker in await self._socket.workers():
                    await self._apply(worker, route)
            await self._detach(route, drain)

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.remove`."""
        async with self._lock(name):
            route = self._routes.pop(name, None)
            if route is None:
                return
            self._leaving.add(name)
            try:
                await self._close(route, drain)
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
        table = await self._read()
        counted = sum(self._seen.values(), start=self._gone)
        return {
            backend: documents.counters(counted, table, route, backend)
            for backend in sorted(route.backends)
        }

    async def close(self) -> None:
        """See `TrafficRouter.close`."""
        self._process.release()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _fault(self, route: Route, ours: Collection[str]) -> str | None:
        fault = route.fault() or self.unavailable()
        if fault is None and route.mirrors:
            fault = "HAProxy cannot mirror requests"
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
            await self._socket.until_ready()
            return
        await self._socket.until_ready()
        await self._read()
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
            raise

    # The workers

    async def _apply(self, worker: int, route: Route) -> None:
        """Let a worker have the servers of the route, and their weights, the raised ones first."""
        key = encoded(route.name)
        have = {row["svname"]: row for row in await self._servers(worker, key)}
        if not have:
            return
        weights = documents.server_weights(route)
        for backend in sorted(route.backends):
            server = documents.server_name(route, backend)
            if server not in have:
                options = documents.server_options(route, backend)
                await self._socket.ask(f"add server {key}/{server} {options} weight 0", worker)
                await self._socket.ask(f"enable health {key}/{server}", worker)
            await self._socket.ask(f"enable server {key}/{server}", worker)
        wanted = dict.fromkeys(have, 0) | weights
        for server, weight in sorted(wanted.items(), key=lambda each: -each[1]):
            await self._socket.ask(f"set server {key}/{server} weight {weight}", worker)
            answer = await self._socket.ask(f"get weight {key}/{server}", worker)
            if answer.split(" ")[0] != str(weight):
                raise RouterError(f"HAProxy did not take the weight of {server}: {answer}")

    async def _close(self, route: Route, drain: float) -> None:
        """Close the address of a route, and wait until its servers are quiet."""
        key, servers = encoded(route.name), documents.server_weights(route).keys()
        async with self._changing:
            await self._load()
        await self._quiet(key, servers, drain)
        self._forget(key, servers)

    async def _detach(self, route: Route, drain: float) -> None:
        """Take out the servers that are not the route's any more, once they are quiet."""
        key, keep = encoded(route.name), documents.server_weights(route)
        leaving = {
            row["svname"]
            for worker in await self._socket.workers()
            for row in await self._servers(worker, key)
        } - keep.keys()
        if not leaving:
            return
        await self._quiet(key, leaving, drain)
        for worker in await self._socket.workers():
            for server in sorted(leaving):
                await self._socket.ask(f"set server {key}/{server} state maint", worker)
                # One that still has a stream stays, out of use, until the next reload.
                await self._socket.ask(f"del server {key}/{server}", worker)
        self._forget(key, leaving)

    async def _quiet(self, key: str, servers: Collection[str], drain: float) -> None:
        """Wait until the servers have nothing in flight, `drain` seconds at most."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain
        quiet = 0
        while quiet < 2 and loop.time() < deadline:
            quiet = 0 if documents.inflight(await self._read(), key, servers) else quiet + 1
            await asyncio.sleep(min(_DRAIN_POLL_SECONDS, max(0.0, deadline - loop.time())))

    async def _servers(self, worker: int, key: str) -> list[Row]:
        return [row for row in await self._table(worker) if row["pxname"] == key]

    async def _table(self, worker: int) -> list[Row]:
        answer = await self._socket.ask("show stat -1 4 -1", worker)
        # A worker may end between two questions.
        return documents.rows(answer) if answer.startswith("# pxname") else []

    async def _read(self) -> list[Row]:
        """What all workers say of their servers; remembers their totals for when they end."""
        table: list[Row] = []
        workers = await self._socket.workers()
        for worker in workers:
            if found := await self._table(worker):
                self._seen[worker] = documents.totals(found)
                table += found
        for worker in self._seen.keys() - set(workers):
            self._gone += self._seen.pop(worker)
        return table

    def _forget(self, key: str, servers: Collection[str]) -> None:
        for counted in (self._gone, *self._seen.values()):
            for each in [each for each in counted if each[0] == key and each[1] in servers]:
                del counted[each]
