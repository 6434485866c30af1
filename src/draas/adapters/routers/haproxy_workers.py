"""The workers of an HAProxy: the one that takes new connections, and those that only end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection

from draas.adapters.routers import haproxy_documents as documents
from draas.adapters.routers.haproxy_documents import Row, Totals
from draas.adapters.routers.haproxy_socket import MasterSocket
from draas.adapters.routers.names import encoded
from draas.control_plane.router import Counters, Route, RouterError

_DRAIN_POLL_SECONDS = 0.05


class Workers:
    """All workers as one: each gets every change, and what they counted is added up."""

    def __init__(self, socket: MasterSocket) -> None:
        self._socket = socket
        self._seen: dict[int, Totals] = {}
        self._gone: Totals = Counter()

    async def apply(self, route: Route) -> None:
        """Let every worker have the servers of the route, and their weights."""
        for worker in await self._socket.workers():
            await self._apply(worker, route)

    async def detach(self, route: Route, drain: float) -> None:
        """Take out the servers that are not the route's any more, once they are quiet."""
        key, keep = encoded(route.name), documents.server_weights(route)
        table = await self.read()
        leaving = documents.servers(table, key) - keep.keys()
        if not leaving:
            return
        await self._quiet(key, leaving, drain)
        for worker in await self._socket.workers():
            for server in sorted(leaving):
                await self._socket.ask(f"set server {key}/{server} state maint", worker)
                # One that still has a stream stays, out of use, until the next reload.
                await self._socket.ask(f"del server {key}/{server}", worker)
        self._forget(key, leaving)

    async def leave(self, route: Route, drain: float) -> None:
        """Wait until a route that was taken out is quiet, and forget what it counted."""
        key, servers = encoded(route.name), documents.server_weights(route).keys()
        await self._quiet(key, servers, drain)
        self._forget(key, servers)

    async def read(self) -> list[Row]:
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

    async def counters(self, route: Route) -> dict[str, Counters]:
        """What each backend of the route got."""
        table = await self.read()
        counted = sum(self._seen.values(), start=self._gone)
        return {
            backend: documents.counters(counted, table, route, backend)
            for backend in sorted(route.backends)
        }

    async def _apply(self, worker: int, route: Route) -> None:
        key = encoded(route.name)
        have = documents.servers(await self._table(worker), key)
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
        # The raised ones first: at no time has none a weight.
        for server, weight in sorted(wanted.items(), key=lambda each: -each[1]):
            await self._socket.ask(f"set server {key}/{server} weight {weight}", worker)
            answer = await self._socket.ask(f"get weight {key}/{server}", worker)
            if answer.split(" ")[0] != str(weight) and worker in await self._socket.workers():
                raise RouterError(f"HAProxy did not take the weight of {server}: {answer}")

    async def _quiet(self, key: str, servers: Collection[str], drain: float) -> None:
        """Wait until the servers have nothing in flight, `drain` seconds at most."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain
        quiet = 0
        while quiet < 2 and loop.time() < deadline:
            quiet = 0 if documents.inflight(await self.read(), key, servers) else quiet + 1
            await asyncio.sleep(min(_DRAIN_POLL_SECONDS, max(0.0, deadline - loop.time())))

    async def _table(self, worker: int) -> list[Row]:
        answer = await self._socket.ask("show stat -1 6 -1", worker)
        if answer.startswith("# pxname"):
            return documents.rows(answer)
        if worker in await self._socket.workers():
            raise RouterError(f"HAProxy's statistics cannot be read: {answer[:200]}")
        return []

    def _forget(self, key: str, servers: Collection[str]) -> None:
        for counted in (self._gone, *self._seen.values()):
            for each in [each for each in counted if each[0] == key and each[1] in servers]:
                del counted[each]
