"""The host's record of its components: the truth behind every GET and snapshot.

The engine's binding can neither list configurations nor keep a component's raw input, so what
clients see comes from here; the engine only tells that a running query failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from draas.contract.drasi_server import (
    ADDED,
    COMPONENT_AUTO_START,
    DUPLICATE_RESOURCE,
    QUERY,
    QUERY_DEFAULTS,
    REACTION,
    SOURCE,
    not_found,
)
from draas.instance_host.documents import Document
from draas.instance_host.elements import Elements
from draas.instance_host.engine import Run
from draas.instance_host.errors import ApiError
from draas.instance_host.feed import Feed
from draas.instance_host.reactions import Result, Sink
from draas.instance_host.sources import Feeder

Consumer = Callable[[Result | None], None]
"""Takes a query's results; None says that the query was deleted."""


@dataclass(slots=True, eq=False)
class Source:
    """A source: with a `feeder`, or with an `engine_id` where a plugin runs it.

    Here and below `config` is what was written, for those who look, and `resolved` what is used.
    """

    id: str
    config: Document
    resolved: Document
    engine_id: str | None = None
    feeder: Feeder | None = None
    elements: Elements = field(default_factory=Elements)
    order: asyncio.Lock = field(default_factory=asyncio.Lock)
    status: str = ADDED
    error: str | None = None

    @property
    def auto_start(self) -> bool:
        """Whether it starts with the host."""
        return bool(self.resolved.get("autoStart", COMPONENT_AUTO_START))


@dataclass(slots=True, eq=False)
class Outlet:
    """What carries the results of one run of a query: `handed` is the last one's sequence.

    `source_ids` tells which source is meant by the engine id of a feed.
    """

    handed: int = 0
    source_ids: dict[str, str] = field(default_factory=dict)

    def hand(self, sequence: int) -> None:
        """A result was handed to the event loop; called from the engine's threads."""
        self.handed = max(self.handed, sequence)

    async def reach(self, sequence: int) -> None:
        """Return when results up to `sequence` were dispatched in the event loop."""
        while self.handed < sequence:  # noqa: ASYNC110  a call into the loop for each costs more
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)  # dispatching was put into the loop's queue before `hand`


@dataclass(slots=True, eq=False)
class Query:
    """A query; `run` from its start until its end, also when it failed meanwhile.

    One that never had any is of no use but to be deleted: it is not written to the file.
    """

    id: str
    config: Document
    resolved: Document
    run: Run | None = None
    has_run: bool = False
    outlet: Outlet = field(default_factory=Outlet)
    consumers: dict[Consumer, int] = field(default_factory=dict)
    status: str = ADDED
    error: str | None = None

    @property
    def auto_start(self) -> bool:
        """Whether it starts with the host."""
        return bool(self.resolved.get("autoStart", QUERY_DEFAULTS["autoStart"]))

    @property
    def source_ids(self) -> list[str]:
        """The sources that it reads."""
        return [entry["sourceId"] for entry in self.resolved["sources"]]


@dataclass(slots=True, eq=False)
class Reaction:
    """A reaction: a `sink` of the host, or an `engine_id` of a plugin's."""

    id: str
    config: Document
    resolved: Document
    sink: Sink | None
    engine_id: str | None = None
    consumer: Consumer | None = None
    status: str = ADDED
    error: str | None = None

    @property
    def auto_start(self) -> bool:
        """Whether it starts with the host."""
        return bool(self.resolved.get("autoStart", COMPONENT_AUTO_START))

    @property
    def query_ids(self) -> list[str]:
        """The queries whose results it takes."""
        return list(self.resolved.get("queries") or ())


Component = Source | Query | Reaction


class Registry:
    """All components by kind and id, in the order of their creation."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.queries: dict[str, Query] = {}
        self.reactions: dict[str, Reaction] = {}

    def feeds(self, source_id: str) -> list[Feed]:
        """Where the changes of a source go."""
        runs = [query.run for query in self.queries.values() if query.run is not None]
        return [run.feeds[source_id] for run in runs if source_id in run.feeds]

    def of(self, kind: str) -> dict[str, Any]:
        """The components of a kind."""
        kinds: dict[str, dict[str, Any]] = {
            SOURCE: self.sources,
            QUERY: self.queries,
            REACTION: self.reactions,
        }
        return kinds[kind]

    def get(self, kind: str, component_id: str) -> Component:
        """One component; `ApiError` (404) if there is none."""
        component: Component | None = self.of(kind).get(component_id)
        if component is None:
            raise ApiError(not_found(kind), f"{kind} '{component_id}' not found")
        return component

    def refuse_duplicate(self, kind: str, component_id: str) -> None:
        """`ApiError` (409) if the id is taken."""
        if component_id in self.of(kind):
            raise ApiError(DUPLICATE_RESOURCE, f"{kind} '{component_id}' already exists")

    def dependents(self, kind: str, component_id: str) -> list[str]:
        """The ids of what reads a source or a query."""
        if kind == SOURCE:
            return [q.id for q in self.queries.values() if component_id in q.source_ids]
        if kind == QUERY:
            return [r.id for r in self.reactions.values() if component_id in r.query_ids]
        return []

    def edges(self) -> Iterator[tuple[str, str]]:
        """From each source and query to what reads it."""
        for query in self.queries.values():
            for source_id in query.source_ids:
                yield source_id, query.id
        for reaction in self.reactions.values():
            for query_id in reaction.query_ids:
                yield query_id, reaction.id
