"""The embedded Drasi engine, with the rules that its hazards demand.

Engine 0.9.3 keeps per-id state across removal, refuses re-added ids or skips their first events,
goes deaf when a source is stopped, and kills a reaction whose callback raises. So every component
gets an engine id that was never used before, an engine source is never stopped, `update_query` is
never called, and callbacks only hand over. Ids of all kinds share one namespace with the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from drasi import Drasi, DrasiError

from draas.contract.drasi_server import QUERY_DEFAULTS
from draas.instance_host.elements import Change
from draas.instance_host.errors import StartError, invalid

Deliver = Callable[[dict[str, Any]], None]
Rows = list[dict[str, Any]]

QUEUE_CAPACITY = 256
"""Changes that may wait before a query that does not say how many."""
SUBSCRIBER_BUFFER = 1000
"""Changes that the engine keeps for a query between a source and the query's own queue."""
MARKER: Change = {"op": "delete", "id": "__draas/settled", "labels": ["__draas"]}
"""The deletion of an element that never was: it passes through every query and changes nothing."""

REFUSALS = (DrasiError, TypeError, ValueError, OverflowError, KeyError)
"""What the binding raises for what it cannot take."""


class Engine:
    """One running engine; made by `Engine.start`."""

    def __init__(self, drasi: Drasi, instance_id: str, kinds: dict[str, list[str]]) -> None:
        self._drasi = drasi
        self._used = {instance_id}
        self._outlets: dict[str, str] = {}
        self._unsettled: set[str] = set()
        self.source_kinds = kinds["sources"]
        self.reaction_kinds = kinds["reactions"]

    @classmethod
    async def start(cls, instance_id: str, plugins_dir: str | None) -> Engine:
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
        return cls(drasi, instance_id, kinds)

    async def close(self) -> None:
        """End the engine; without this the interpreter crashes at its exit."""
        await self._drasi.close()

    # sources

    async def add_source(self, source_id: str) -> str:
        """A source fed by `push`; its engine id."""
        engine_id = self._fresh(source_id)
        await self._drasi.add_python_source(engine_id)
        return engine_id

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

    async def push(self, engine_id: str, change: Change) -> None:
        """Hand one change to the queries of a source; `ApiError` (400) if it is malformed."""
        self._unsettled.add(engine_id)
        try:
            await self._drasi.push_change(engine_id, cast(Any, change))
        except REFUSALS as error:
            raise invalid("the engine refused the change", str(error)) from error

    async def settle(self, engine_id: str, capacity: int) -> None:
        """Return when the queries of a source have processed all that was pushed to it.

        The engine says of no query how far it is, but its queues are bounded, in order, and never
        drop: once as many markers were taken as fit between the source and the slowest query,
        whose queue holds `capacity`, all that came before the first of them is through. One more
        is with the task that forwards, one with the query, and one makes it certain.
        """
        if engine_id in self._unsettled:
            self._unsettled.discard(engine_id)
            for _ in range(SUBSCRIBER_BUFFER + capacity + 3):
                await self._drasi.push_change(engine_id, cast(Any, MARKER))

    async def remove_source(self, engine_id: str) -> None:
        """Remove a source that no query reads."""
        self._unsettled.discard(engine_id)
        await self._drasi.remove_source(engine_id, cleanup=True)

    # queries

    async def add_query(
        self, query: dict[str, Any], engine_sources: dict[str, str], deliver: Deliver
    ) -> str:
        """Run a (resolved) query and send its results to `deliver`; its engine id.

        `deliver` is called from the engine's threads and must not raise. `QueryError` carries the
        engine's reason; nothing of the query then stays in the engine.
        """
        engine_id = self._fresh(query["id"])
        try:
            await self._drasi.add_query(
                engine_id,
                query["query"],
                [_subscription(entry, engine_sources) for entry in query["sources"]],
                auto_start=True,
                **_query_options(query),
            )
            await self._drasi.wait_for_query(engine_id)
            outlet = self._fresh(f"{engine_id}/out")
            await self._drasi.add_python_reaction(outlet, [engine_id], cast(Any, deliver))
            self._outlets[engine_id] = outlet
        except REFUSALS as error:
            await self._discard_query(engine_id)
            raise QueryError(str(error)) from error
        return engine_id

    async def remove_query(self, engine_id: str) -> None:
        """Remove a query together with what carries its results."""
        outlet = self._outlets.pop(engine_id, None)
        if outlet is not None:
            await self._drasi.remove_reaction(outlet, cleanup=True)
        await self._drasi.remove_query(engine_id)

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

    async def _discard_query(self, engine_id: str) -> None:
        if engine_id in await self.query_statuses():
            await self.remove_query(engine_id)


class QueryError(Exception):
    """The engine refused a query; the text is its reason."""


class PluginError(Exception):
    """A plugin refused to make or start a component; the text is its reason."""


def queue_capacity(query: dict[str, Any]) -> int:
    """How many changes may wait before a query."""
    return query.get("priorityQueueCapacity") or QUEUE_CAPACITY


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
