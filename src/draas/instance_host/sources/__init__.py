"""The source kinds that the host runs itself: what feeds an engine source."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from draas.instance_host.elements import Change
from draas.model.clock import Clock

KINDS = ("http", "mock")

Feed = Callable[[Change], Awaitable[None]]
"""Hands one change to the engine; raises `ApiError` when it is refused."""


class Feeder(Protocol):
    """Produces changes between `start` and `stop`; both may be called again.

    One that `generates` makes them up, and so must not run where another host leads.
    """

    generates: bool

    async def start(self) -> None:
        """Begin; `OSError` when an address cannot be listened on."""
        ...

    async def stop(self) -> None:
        """End; no change is fed afterwards."""
        ...

    def resume(self, known: Iterable[str]) -> None:
        """Go on after the elements with these ids, which another host may have made up."""
        ...


def make_feeder(
    kind: str, source_id: str, properties: dict[str, Any], *, own: Feed, taken: Feed, clock: Clock
) -> Feeder:
    """A stopped feeder of a kind in `KINDS`; `ApiError` (400) names a bad property.

    It feeds what it makes up to `own`, and what clients sent to `taken`.
    """
    if kind == "mock":
        from draas.instance_host.sources.mock import MockFeeder  # noqa: PLC0415 - as needed

        return MockFeeder(properties, own, clock)
    from draas.instance_host.sources.http import HttpFeeder  # noqa: PLC0415 - as needed

    return HttpFeeder(source_id, properties, taken)
