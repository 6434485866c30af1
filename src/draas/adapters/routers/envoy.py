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

from draas.adapters.platforms.ports import bind_fault
from draas.adapters.routers import envoy_documents as documents
from draas.adapters.routers.envoy_counters import counters, inflight
from draas.adapters.routers.envoy_documents import Document
from draas.adapters.routers.envoy_files import LIVE_SECONDS, POLL_SECONDS, ResourceFile
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
            before = [file.of(prefix) for file, prefix in self._files(key)]
            try:
                await self._attach(route)
                await self._divide(route, subscribed=bool(before[0]))
                await self._listen(route)
            except RouterError:
                await self._take_back(key, before)
                raise
            self._routes[route.name] = route
            await self._detach(key, {each["name"] for each in documents.clusters_of(route)}, drain)

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.remove`: the listener, then what is in flight, then the clusters."""
        key = encoded(name)
        async with self._lock(key):
            self._routes.pop(name, None)
            if not self._envoy.wanted:
                return
            self._envoy.listeners.drop(self._envoy.listeners.of(f"{key}@"))
            await self._envoy.listeners.publish()
            await self._detach(key, set(), drain)
            self._envoy.forget_split(key)
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
        wanted = documents.clusters_of(route)
        # Before the start: an Envoy that has something to do is not ended by another's removal.
        self._envoy.clusters.put(wanted)
        await self._envoy.start()
        if not await self._envoy.clusters.publish():
            raise RouterError(f"Envoy refused the backends of route {route.name!r}")
        prefix = f"cluster.{encoded(route.name)}/"
        states = [f"cluster.{each['name']}.warming_state" for each in wanted]
        async with _deadline(f"the backends of route {route.name!r}"):
            while True:
                values = (await self._envoy.admin.statistics(prefix)).values
                if all(values.get(state) == 0 for state in states):
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def _divide(self, route: Route, *, subscribed: bool) -> None:
        """Split the requests as the route says; live at once where its listener is open."""
        split = self._envoy.split(encoded(route.name))
        split.put([documents.routes_of(route)])
        if not subscribed:
            split.write()
        elif not await split.publish():
            raise RouterError(f"Envoy refused the weights of route {route.name!r}")

    async def _listen(self, route: Route) -> None:
        """Open the address of the route, then close the one that it had before."""
        key, name = encoded(route.name), documents.listener_name(route)
        listeners = self._envoy.listeners
        if name not in await self._envoy.admin.listeners():
            if fault := await asyncio.to_thread(bind_fault, route.listen.host, route.listen.port):
                raise RouterError(fault)
            listeners.put([documents.listener_of(route, str(self._envoy.split_path(key)))])
            listeners.touch()
        taken = await listeners.publish()
        async with _deadline(f"the address {route.listen}"):
            while name not in await self._envoy.admin.listeners():
                if not taken and (reason := await self._envoy.admin.refusal(name)):
                    raise RouterError(f"{route.listen} cannot be opened: {reason}")
                await asyncio.sleep(POLL_SECONDS)
        listeners.drop(listeners.of(f"{key}@").keys() - {name})
        await listeners.publish()

    async def _detach(self, key: str, keep: set[str], drain: float) -> None:
        """Take out all clusters of a route but these, once nothing is in flight there."""
        leaving = self._envoy.clusters.of(f"{key}/").keys() - keep
        if not leaving:
            return
        quiet = 0
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain
        # Twice: what was routed at the instant of the change is counted an instant later.
        while quiet < 2 and loop.time() < deadline:
            statistics = await self._envoy.admin.statistics(f"cluster.{key}/")
            quiet = 0 if inflight(statistics.values, leaving) else quiet + 1
            await asyncio.sleep(min(_DRAIN_POLL_SECONDS, max(0.0, deadline - loop.time())))
        self._envoy.clusters.drop(leaving)
        await self._envoy.clusters.publish()

    def _files(self, key: str) -> list[tuple[ResourceFile, str]]:
        """The files that a route has a part in, with the prefix of its part: outermost first."""
        envoy = self._envoy
        return [(envoy.listeners, f"{key}@"), (envoy.split(key), key), (envoy.clusters, f"{key}/")]

    async def _take_back(self, key: str, before: list[dict[str, Document]]) -> None:
        """Put back what was there before a change that failed, as far as Envoy can be reached."""
        for (file, prefix), resources in zip(self._files(key), before, strict=True):
            file.drop(file.of(prefix).keys() - resources.keys())
            file.put(resources.values())
            if self._envoy.wanted and (resources or file is not self._envoy.split(key)):
                with contextlib.suppress(RouterError):
                    await file.publish()
        if not before[1]:
            self._envoy.forget_split(key)
        await self._envoy.rest()

    async def _sweep(self, keep: set[str]) -> None:
        """Take out what belongs to no route any more, after an earlier control plane."""
        envoy = self._envoy
        for file in (envoy.listeners, envoy.clusters):
            file.drop([name for name in file.of("") if re.split("[@/]", name)[0] not in keep])
            if envoy.wanted:
                await file.publish()
        envoy.keep_splits(keep)
        await envoy.rest()


@asynccontextmanager
async def _deadline(what: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LIVE_SECONDS):
            yield
    except TimeoutError:
        raise RouterError(f"Envoy did not get {what} live within {LIVE_SECONDS:g} s") from None
