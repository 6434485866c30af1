"""The reaction kinds that the host runs itself: where results of queries go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from draas.model.clock import Clock

KINDS = ("http", "log", "sse")

Result = dict[str, Any]
"""`query_id`, `sequence`, `timestamp` and `results`: rows with `type` and `data`/`before`/`after`.
"""

Warn = Callable[[str], None]
"""Notes a trouble in the reaction's log."""


class Sink(Protocol):
    """Takes results between `start` and `stop`; both may be called again.

    `own_clients` says that it serves those who connect to this host, and so to no other: it
    delivers in every role. Any other is held while another host delivers the same.
    """

    own_clients: bool

    async def start(self) -> None:
        """Begin; `OSError` when an address cannot be listened on."""
        ...

    async def stop(self) -> None:
        """End."""
        ...

    def deliver(self, result: Result) -> None:
        """Take one result without waiting: the event loop must go on."""
        ...

    def unsent(self) -> list[Result]:
        """What a stopped sink took and could still deliver; from now on it will not."""
        ...

    async def settle(self) -> None:
        """Return when everything taken so far is delivered."""
        ...


def make_sink(
    kind: str, reaction_id: str, properties: dict[str, Any], clock: Clock, warn: Warn
) -> Sink:
    """A stopped sink of a kind in `KINDS`; `ApiError` (400) names a bad property."""
    if kind == "log":
        from draas.instance_host.reactions.log import LogSink  # noqa: PLC0415 - as needed

        return LogSink(reaction_id, properties)
    if kind == "http":
        from draas.instance_host.reactions.http import HttpSink  # noqa: PLC0415 - as needed

        return HttpSink(properties, warn)
    from draas.instance_host.reactions.sse import SseSink  # noqa: PLC0415 - as needed

    return SseSink(properties, clock)
