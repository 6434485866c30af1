"""Routes kept by an Envoy of our own, which reads its configuration from files (ADR 0010)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from draas.adapters.machine.ports import bind_fault, numeric
from draas.adapters.routers.envoy_clusters import clusters_of
from draas.adapters.routers.envoy_counters import counters, inflight
from draas.adapters.routers.envoy_documents import Document
from draas.adapters.routers.envoy_files import LIVE_SECONDS, POLL_SECONDS, ResourceFile
from draas.adapters.routers.envoy_listeners import listener_name, listener_of, split_name, split_of
from draas.adapters.routers.envoy_process import EnvoyProcess, installed
from draas.adapters.routers.names import encoded
from draas.adapters.routers.supervised import executable
from draas.control_plane.router import (
    DRAIN_SECONDS,
    Capabilities,
    Counters,
    Route,
    RouterError,
)

_DRAIN_POLL_SECONDS = 0.05


class EnvoyRouter:
    """`TrafficRouter` by one Envoy a directory; nothing runs before the first route.

    `program` is the path of an Envoy, or empty for the one that was installed with the project.
    Its files lie in `directory`, readable for their owner only.
    """

    kind = "envoy"
    capabilities = Capabilities(
        opens_ports=True, counters=True, histogram=True, inflight=True, mirror=True
    )

    def __init__(self, directory: Path, program: str = "") -> None:
        self._program = program or installed()
        self._envoy = EnvoyProcess(directory.resolve(), self._program)
        self._routes: dict[str, Route] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def unavailable(self) -> str | None:
        """See `TrafficRouter.unavailable`."""
        if not hasattr(os, "pidfd_open"):
            return "Envoy is supervised by pidfd, which needs Linux 5.3 or later"
        if not self._program:
            return "no Envoy is installed on this platform; name the path of one"
        if not executable(self._program):
            return f"the Envoy {self._program!r} is not there or not executable"
        return None

    async def open(self, routes: Collection[Route]) -> Mapping[str, RouterError]:
        """See `TrafficRouter.open`."""
        await self._envoy.find()
        self._routes.clear()
        if routes:
            if fault := self.unavailable():
                raise RouterError(fault)
            await self._envoy.start()
        outcomes = await asyncio.gather(
            *(self.ensure(route, drain=0.0) for route in routes), return_exceptions=True
        )
        failed = {}
        for route, outcome in zip(routes, outcomes, strict=True):
            if isinstance(outcome, RouterError):
                failed[route.name] = outcome
            elif outcome is not None:
                raise outcome
        await self._sweep({encoded(route.name) for route in routes})
        return failed

    async def ensure(self, route: Route, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.ensure`: clusters, then the split, then the listener."""
        if fault := route.fault() or self.unavailable():
            raise RouterError(fault)
        key = encoded(route.name)
        async with self._lock(key):
            before = self._state(key)
            try:
                await self._attach(route)
                await self._divide(route)
                await self._listen(route)
            except RouterError:
                await self._take_back(before)
                raise
            self._routes[route.name] = route
            await self._detach(route, drain)

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.remove`: the listener, then what is in flight, then the clusters."""
        key = encoded(name)
        async with self._lock(key):
            self._routes.pop(name, None)
            if not self._envoy.wanted:
                return
            self._envoy.listeners.drop(self._envoy.listeners.of(f"{key}@"))
            await self._envoy.listeners.publish()
            await self._quiet(key, self._envoy.clusters.of(f"{key}/").keys(), drain)
            self._envoy.splits.drop([split_name(name)])
            await self._publish_splits()
            await self._drop_clusters(key, set())
        await self._envoy.rest()

    async def traffic(self, name: str) -> Mapping[str, Counters]:
        """See `TrafficRouter.traffic`; latencies may be a second behind."""
        route = self._routes.get(name)
        if route is None:
            raise RouterError(f"there is no route {name!r}")
        statistics = await self._envoy.admin.statistics(f"cluster.{encoded(name)}/")
        return counters(statistics, name, sorted(route.backends))

    async def close(self) -> None:
        """See `TrafficRouter.close`."""
        await self._envoy.close()

    def _lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    async def _attach(self, route: Route) -> None:
        """Make the clusters known, and wait for the first health check of each."""
        wanted = clusters_of(route)
        # Before the start: an Envoy that has something to do is not ended by another's removal.
        self._envoy.clusters.put(wanted)
        await self._envoy.start()
        if not await self._envoy.clusters.publish():
            raise RouterError(f"Envoy refused the backends of route {route.name!r}")
        names = {each["name"] for each in wanted}
        async with _deadline(f"the backends of route {route.name!r}"):
            await self._envoy.admin.until_warm(names)

    async def _divide(self, route: Route) -> None:
        """Split the requests as the route says."""
        self._envoy.splits.put([split_of(route)])
        if not await self._publish_splits():
            raise RouterError(f"Envoy refused the weights of route {route.name!r}")

    async def _publish_splits(self) -> bool:
        """Publish the splits; without a listener Envoy does not follow them yet."""
        if await self._envoy.admin.listeners():
            return await self._envoy.splits.publish()
        self._envoy.splits.write()
        return True

    async def _listen(self, route: Route) -> None:
        """Open the address of the route, then close the one that it had before."""
        name, listeners = listener_name(route), self._envoy.listeners
        if name not in await self._envoy.admin.listeners():
            if fault := await asyncio.to_thread(bind_fault, route.listen.host, route.listen.port):
                raise RouterError(fault)
            host = await asyncio.to_thread(numeric, route.listen.host)
            listeners.put([listener_of(route, self._envoy.table_path, host)])
            listeners.touch()
        taken = await listeners.publish()
        async with _deadline(f"the address {route.listen}"):
            while name not in await self._envoy.admin.listeners():
                if not taken and (reason := await self._envoy.admin.refusal(name)):
                    raise RouterError(f"{route.listen} cannot be opened: {reason}")
                await asyncio.sleep(POLL_SECONDS)
        listeners.drop(listeners.of(f"{encoded(route.name)}@").keys() - {name})
        await listeners.publish()
        await self._envoy.splits.publish()

    async def _detach(self, route: Route, drain: float) -> None:
        """Take out the clusters that the route has no more, once nothing is in flight there."""
        key, keep = encoded(route.name), {each["name"] for each in clusters_of(route)}
        await self._quiet(key, self._envoy.clusters.of(f"{key}/").keys() - keep, drain)
        await self._drop_clusters(key, keep)

    async def _drop_clusters(self, key: str, keep: Collection[str]) -> None:
        clusters = self._envoy.clusters
        clusters.drop([name for name in clusters.of(f"{key}/") if name not in keep])
        await clusters.publish()

    async def _quiet(self, key: str, clusters: Collection[str], drain: float) -> None:
        """Wait until the clusters have nothing in flight, `drain` seconds at most."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain
        quiet = 0
        # Twice: what was routed at the instant of the change is counted an instant later.
        while clusters and quiet < 2 and loop.time() < deadline:
            statistics = await self._envoy.admin.statistics(f"cluster.{key}/")
            quiet = 0 if inflight(statistics.values, clusters) else quiet + 1
            await asyncio.sleep(min(_DRAIN_POLL_SECONDS, max(0.0, deadline - loop.time())))

    def _state(self, key: str) -> list[tuple[ResourceFile, str, dict[str, Document]]]:
        """The parts of a route in the files, outermost first."""
        envoy = self._envoy
        parts = (
            (envoy.listeners, f"{key}@"),
            (envoy.splits, f"{key}@"),
            (envoy.clusters, f"{key}/"),
        )
        return [(file, prefix, file.of(prefix)) for file, prefix in parts]

    async def _take_back(self, before: list[tuple[ResourceFile, str, dict[str, Document]]]) -> None:
        """Put back what was there before a change that failed, as far as Envoy can be reached."""
        for file, prefix, resources in before:
            file.drop(file.of(prefix).keys() - resources.keys())
            file.put(resources.values())
            await self._publish_if_possible(file)
        await self._envoy.rest()

    async def _sweep(self, keep: set[str]) -> None:
        """Take out what belongs to no route any more, after an earlier control plane."""
        for file in (self._envoy.listeners, self._envoy.splits, self._envoy.clusters):
            file.drop([name for name in file.of("") if re.split("[@/]", name)[0] not in keep])
            await self._publish_if_possible(file)
        await self._envoy.rest()

    async def _publish_if_possible(self, file: ResourceFile) -> None:
        if not self._envoy.wanted:
            return
        with contextlib.suppress(RouterError):
            if file is self._envoy.splits:
                await self._publish_splits()
            else:
                await file.publish()


@asynccontextmanager
async def _deadline(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LIVE_SECONDS):
            yield
    except TimeoutError:
        raise RouterError(f"Envoy did not get {what} live within {LIVE_SECONDS:g} s") from None
