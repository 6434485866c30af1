"""A router that routes nothing: it keeps what it was told, and counts no request."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from draas.control_plane.router import (
    DRAIN_SECONDS,
    Capabilities,
    Counters,
    Route,
    RouterError,
)

NOTHING = Counters(
    requests=0,
    errors=0,
    codes={},
    latency=(),
    inflight=0,
    healthy=True,
    retries=0,
    mirror_failures=0,
)


class MemoryRouter:
    """`TrafficRouter` over `routes`, by their name."""

    kind = "memory"
    capabilities = Capabilities(
        opens_ports=True, counters=True, histogram=False, inflight=True, mirror=True
    )

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}

    def unavailable(self) -> str | None:
        return None

    async def open(self, routes: Collection[Route]) -> Mapping[str, RouterError]:
        self.routes = {route.name: route for route in routes}
        return {}

    async def ensure(self, route: Route, drain: float = DRAIN_SECONDS) -> None:
        if fault := route.fault():
            raise RouterError(fault)
        self.routes[route.name] = route

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        self.routes.pop(name, None)

    async def traffic(self, name: str) -> Mapping[str, Counters]:
        return dict.fromkeys(self.routes[name].backends, NOTHING)

    async def close(self) -> None:
        """Keeps its routes."""
