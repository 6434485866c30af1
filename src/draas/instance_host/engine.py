"""The embedded Drasi engine, with the rules that its hazards demand.

Engine 0.9.3 keeps per-id state across removal, refuses re-added ids or skips their first events,
goes deaf when a source is stopped, kills a reaction whose callback raises, holds back a source for
good once a query of it failed, and refuses texts with CRLF. So every component gets an engine id
that was never used before, an engine source is never stopped, `update_query` is never called,
callbacks only hand over, each query has sources of its own, and lines end with LF. Ids of all kinds
share one namespace with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from drasi import Drasi, DrasiError

from draas.contract.drasi_server import ERROR, QUERY_DEFAULTS
from draas.instance_host.elements import Change
from draas.instance_host.errors import StartError, invalid
from draas.instance_host.feed import Deliver, Feed, noting_causes, push_to
from draas.model.clock import Clock

Fail = Callable[[str], None]
Rows = list[dict[str, Any]]

QUEUE_CAPACITY = 256
"""Changes that may wait before a query that does not say how many."""
UNREAD = "__draas/unread"
"""The engine source for changes of sources that no query reads: the engine judges them all."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a query in the engine, and by source id what feeds it."""

    engine_id: str
    feeds: Mapping[str, Feed]


class Engine:
    """One running engine; made by `Engine.start`."""

    def __init__(
        self, drasi: Drasi, instance_id: str, kinds: dict[str, list[str]], clock: Clock
    ) -> None:
        self._drasi = drasi
        self._clock = clock
        self._used = {instance_id, UNREAD}
        self._outlets: dict[str, str] = {}
        self._unread = Feed(drasi, UNREAD, clock)
        self.source_kinds = kinds["sources"]
        self.reaction_kinds = kinds["reactions"]

    @classmethod
    async def start(cls, instance_id: str, plugins_dir: str | None, clock: Clock) -> Engine:
        """Create and start the engine; `StartError` when its plugins cannot be loaded."""
        drasi = await Drasi.create(instance_id)
        kinds: dict[str, list[str]] = {"sources": [], "reactions": []}
        if plugins_dir is not None:
            try:
                await drasi.load_plugins(plugins_dir)
            except DrasiError as error:
                await drasi.close()
                raise StartError(f"--plugins-dir {plugins_dir}: {error}") from error
            kinds = cast("dict[str, list[str]]", await drasi.plugin_kinds())
        await drasi.start()
        await drasi.add_python_source(UNREAD)
        return cls(drasi, instance_id, kinds, clock)

    async def close(self) -> None:
        """End the engine; without this the interpreter crashes at its exit."""
        await self._drasi.close()

    # sources

    async def add_plugin_source(
        self, kind: str, source_id: str, config: dict[str, Any], bootstrap: dict[str, Any] | None
    ) -> str:
        """A stopped source that a plugin runs; its engine id. The plugin judges `config`."""
        engine_id = self._fresh(source_id)
        try:
            await self._drasi.add_source(
                kind, engine_id, config, auto_start=False, bootstrap=bootstrap
            )
        except DrasiError as error:
            raise PluginError(str(error)) from error
        return engine_id

    async def start_source(self, engine_id: str) -> None:
        """Start a plugin's source, once: after a stop its queries would be deaf."""
        try:
            await self._drasi.start_source(engine_id)
        except DrasiError as error:
            raise PluginError(str(error)) from error

    async def remove_source(self, engine_id: str) -> None:
        """Remove a plugin's source that no query reads."""
        await self._drasi.remove_source(engine_id, cleanup=True)

    # queries

    async def add_query(
        self, query: dict[str, Any], plugin_sources: Mapping[str, str], deliver: Deliver, fail: Fail
    ) -> Run:
        """Run a (resolved) query, send its results to `deliver`, and its end's reason to `fail`.

        `plugin_sources` tells the engine ids of the sources that it shares with other queries; it
        gets a feed for each of the others. Both callbacks are called from the engine's threads and
        must not raise. `QueryError` carries the engine's reason; nothing then stays in the engine.
        """
        engine_id = self._fresh(query["id"])
        engine_sources = dict(plugin_sources)
        feeds: dict[str, Feed] = {}
        try:
            for source_id in [entry["sourceId"] for entry in query["sources"]]:
                if source_id not in engine_sources:
                    engine_sources[source_id] = self._fresh(f"{source_id}/{engine_id}")
                    await self._drasi.add_python_source(engine_sources[source_id])
                    feeds[source_id] = Feed(self._drasi, engine_sources[source_id], self._clock)
            await self._drasi.add_query(
                engine_id,
                query["query"].replace("\r\n", "\n"),
                [_subscription(entry, engine_sources) for entry in query["sources"]],
                auto_start=True,
                **_query_options(query),
            )
            await self._drasi.wait_for_query(engine_id)
            await self._drasi.on_query_events(engine_id, _when_failed(fail))
            outlet = self._fresh(f"{engine_id}/out")
            noting = noting_causes(feeds.values(), deliver)
            await self._drasi.add_python_reaction(outlet, [engine_id], cast(Any, noting))
            self._outlets[engine_id] = outlet
        except Exception as error:  # a panic of the engine too, whose class has no name here
            await self.remove_query(Run(engine_id, feeds))
            raise QueryError(named(query["id"], engine_id, error)) from error
        return Run(engine_id, feeds)

    async def push(self, feeds: Iterable[Feed], change: Change) -> None:
        """Hand one change to the queries that still take some; `ApiError` (400) if malformed."""
        await push_to([feed for feed in feeds if not feed.is_closed] or [self._unread], change)

    async def remove_query(self, run: Run) -> None:
        """Remove a query together with what feeds it and what carries its results."""
        outlet = self._outlets.pop(run.engine_id, None)
        if outlet is not None:
            await self._drasi.remove_reaction(outlet, cleanup=True)
        if run.engine_id in await self.query_statuses():
            try:
                await self._drasi.remove_query(run.engine_id)
            except DrasiError:  # as of one whose start ended in a panic, which it forgets even so
                if run.engine_id in await self.query_statuses():
                    raise
        for feed in run.feeds.values():
            feed.close()
            await self._drasi.remove_source(feed.engine_id, cleanup=True)

    async def results(self, engine_id: str) -> Rows:
        """The rows that a running query holds now; `ApiError` (400) when it does not run."""
        try:
            return await self._drasi.get_query_results(engine_id)
        except DrasiError as error:
            raise invalid("the query is not running", str(error)) from error

    async def latest(self, engine_id: str) -> int:
        """The sequence of the last result of a running query, 0 before the first."""
        metrics = await self._drasi.get_query_metrics(engine_id)
        return metrics["outbox_latest_seq"]

    async def query_statuses(self) -> dict[str, str]:
        """Engine id → status of every query in the engine."""
        return dict(await self._drasi.list_queries())

    # reactions of plugins

    async def add_plugin_reaction(
        self, kind: str, reaction_id: str, engine_queries: list[str], config: dict[str, Any]
    ) -> str:
        """A reaction that a plugin runs; its engine id."""
        engine_id = self._fresh(reaction_id)
        try:
            await self._drasi.add_reaction(kind, engine_id, engine_queries, config)
        except DrasiError as error:
            raise PluginError(str(error)) from error
        return engine_id

    async def remove_reaction(self, engine_id: str) -> None:
        """Remove a plugin's reaction."""
        await self._drasi.remove_reaction(engine_id, cleanup=True)

    def _fresh(self, wanted: str) -> str:
        """`wanted`, or `wanted~2`, `wanted~3`, …: an id that the engine never saw."""
        engine_id, generation = wanted, 1
        while engine_id in self._used:
            generation += 1
            engine_id = f"{wanted}~{generation}"
        self._used.add(engine_id)
        return engine_id


class QueryError(Exception):
    """The engine refused a query; the text is its reason."""


class PluginError(Exception):
    """A plugin refused to make or start a component; the text is its reason."""


def named(query_id: str, engine_id: str, reason: object) -> str:
    """What the engine says, of a query by the id that people know."""
    return str(reason).replace(f"'{engine_id}'", f"'{query_id}'")


def queue_capacity(query: dict[str, Any]) -> int:
    """How many changes may wait before a query."""
    return query.get("priorityQueueCapacity") or QUEUE_CAPACITY


def _when_failed(fail: Fail) -> Callable[[Any], None]:
    """Takes the events of a query, those of before included, and picks out its failure."""

    def take(event: dict[str, Any]) -> None:
        if event["status"] == ERROR:
            fail(event.get("message") or "the engine gives no reason")

    return take


def _subscription(entry: dict[str, Any], engine_sources: dict[str, str]) -> Any:
    engine_id = engine_sources[entry["sourceId"]]
    return {"id": engine_id, "pipeline": entry["pipeline"]} if entry["pipeline"] else engine_id


def _query_options(query: dict[str, Any]) -> dict[str, Any]:
    options = {
        "language": query["queryLanguage"].lower(),
        "joins": query.get("joins") or None,
        "middleware": [{"config": {}, **entry} for entry in query["middleware"]] or None,
        "priority_queue_capacity": queue_capacity(query),
        "dispatch_buffer_capacity": query.get("dispatchBufferCapacity"),
        "dispatch_mode": query["dispatchMode"].lower() if query.get("dispatchMode") else None,
    }
    for name, key in (
        ("outbox_capacity", "outboxCapacity"),
        ("bootstrap_timeout_seconds", "bootstrapTimeoutSecs"),
    ):
        if query[key] != QUERY_DEFAULTS[key]:
            options[name] = query[key]
    return {name: value for name, value in options.items() if value is not None}
