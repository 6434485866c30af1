"""What the control plane needs of a traffic router: stable addresses in front of slots.

A `Route` is a desired state. `ensure` observes what the router has and makes it so, step by step
in an order in which no request fails.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

DRAIN_SECONDS: Final = 30.0
"""How long a backend that is taken away may finish what it has, unless the caller says."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """One stable address, `listen`, in front of named backends.

    Requests are split by `weights`; a backend without weight gets none. With two or more that
    have weight, a request that could not be sent to one goes to another. `mirrors` are backends
    without weight that get a copy of every request; their answers are thrown away. `health` is
    the path that a healthy backend answers with 200; `None`: it is enough that it listens.

    With `pushes_to` what is pushed through the API of a server (`POST …/sources/ID/push`) goes to
    that backend whatever the weights, and only that is copied to `mirrors`.
    """

    name: str
    listen: Address
    backends: Mapping[str, Address]
    weights: Mapping[str, int]
    mirrors: tuple[str, ...] = ()
    health: str | None = "/health"
    pushes_to: str = ""

    def weight(self, backend: str) -> int:
        """The weight of a backend, 0 where none was given."""
        return self.weights.get(backend, 0)

    def fault(self) -> str | None:
        """Why no router can make this so, or `None`."""
        for address in (self.listen, *self.backends.values()):
            if not address.host or not 0 < address.port < 65536:
                return f"{str(address)!r} in route {self.name!r} is no address"
        named = {*self.weights, *self.mirrors} | ({self.pushes_to} if self.pushes_to else set())
        unknown = sorted(named - {*self.backends})
        if unknown:
            return f"route {self.name!r} has no backend {unknown[0]!r}"
        negative = sorted(name for name, weight in self.weights.items() if weight < 0)
        if negative:
            return f"the weight of backend {negative[0]!r} of route {self.name!r} is negative"
        if not any(self.weights.values()):
            return f"no backend of route {self.name!r} has a weight: every request would fail"
        given = [self.pushes_to] if self.pushes_to else [n for n in self.backends if self.weight(n)]
        twice = sorted({*self.mirrors} & {*given})
        if twice:
            return (
                f"backend {twice[0]!r} of route {self.name!r} is sent requests and is a mirror: it "
                "would get them twice"
            )
        return None


@dataclass(frozen=True, slots=True)
class Counters:
    """What a backend got since it was attached, or since the router's process was started.

    Compare two readings, and take a fall as a new beginning: a router that had to be started anew
    begins at 0, and so may a backend that stays when the last other one is detached.

    `requests` were answered or failed; those in flight are not among them. `errors` are answers
    of 5xx, the router's own included where the backend refused, broke off or did not answer.
    `codes` has status codes, or classes such as `2xx` where the router knows no more. `latency`
    has cumulative buckets (upper bound in milliseconds, `None` for all, with its count), and is
    empty where the router has no histogram. `inflight` is `None` where it cannot be told.

    Failover hides a dead backend from the clients, and so from `errors`: `healthy` is what the
    health checks say (`None`: not known), `retries` are requests meant for this backend that had
    to be sent again. `mirror_failures` are mirrored requests that were not answered well.
    """

    requests: int
    errors: int
    codes: Mapping[str, int]
    latency: tuple[tuple[float | None, int], ...]
    inflight: int | None
    healthy: bool | None
    retries: int
    mirror_failures: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a router can do; what it cannot, it refuses with `RouterError`.

    `opens_ports`: a new route opens without a reload of the router's process. `counters`:
    `traffic` can be read at all; `histogram` and `inflight`: these parts of it.
    """

    opens_ports: bool
    counters: bool
    histogram: bool
    inflight: bool
    mirror: bool


class RouterError(Exception):
    """What was asked could not be made so; `reason` says why, and what may be done."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TrafficRouter(Protocol):
    """Keeps routes. Every call is idempotent: it observes, then ensures."""

    kind: str
    capabilities: Capabilities

    def unavailable(self) -> str | None:
        """Why no route can be kept here, or `None`."""
        ...

    async def open(self, routes: Collection[Route]) -> Mapping[str, RouterError]:
        """Take over what an earlier control plane left, and make exactly these routes so.

        Answers the routes that could not be opened, by name; the others are live.

        Raises:
            RouterError: the router itself cannot be run or reached.
        """
        ...

    async def ensure(self, route: Route, drain: float = DRAIN_SECONDS) -> None:
        """Make the route so, and answer once it is live.

        Backends that are not in it any more lose their weight first and are detached once they
        have no request in flight, after `drain` seconds at the latest. Streams that last longer
        are not cut: they end with their backend.

        Raises:
            RouterError: it could not be made so. What was live before still is, and other
                routes are not touched.
        """
        ...

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        """Close the route: no new connection, then as `ensure` for all of its backends.

        Raises:
            RouterError: the router did not follow.
        """
        ...

    async def traffic(self, name: str) -> Mapping[str, Counters]:
        """What each backend of the route got.

        Raises:
            RouterError: there is no such route, or it cannot be read.
        """
        ...

    async def close(self) -> None:
        """Let go of the router; it goes on with its routes."""
        ...
