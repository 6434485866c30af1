"""Queries: running them, giving them the data that is already there, handing on their results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any

from draas.contract.drasi_server import (
    ADDED,
    ERROR,
    QUERY,
    RUNNING,
    STARTING,
    STOPPED,
    failed,
)
from draas.instance_host.documents import Document, complete_query
from draas.instance_host.engine import QueryError, Run, named, queue_capacity
from draas.instance_host.errors import ApiError, invalid
from draas.instance_host.feed import settle_all
from draas.instance_host.reactions import Result
from draas.instance_host.registry import Consumer, Outlet, Query, Source
from draas.instance_host.surroundings import Surroundings
from draas.model.clock import nanoseconds

ATTACHED_BACKLOG = 1000
UNEXPLAINED = "the engine failed to process a change"
"""The reason of a failure until the engine's own comes, which it may not."""


class QuerySet:
    """The queries of one instance.

    Each start runs the query under a new engine id and replays the elements of its sources, so
    neither a restart nor a new text leaves it deaf, stale or empty. One subscription a query
    carries its results to all consumers, in the event loop, where a raising one harms nobody.
    A query that fails while it runs takes no more changes, and is in Error until its next start.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._engine = surroundings.engine
        self._registry = surroundings.registry
        self._journal = surroundings.journal
        self._clock = surroundings.clock
        self._loop = asyncio.get_running_loop()

    async def add(self, document: Document) -> None:
        """Register a query, and run it if it starts by itself.

        A text that the engine refuses raises `ApiError` (500) and leaves the query in Error, as
        drasi-server does: it must be deleted before its source can be.
        """
        self._registry.refuse_duplicate(QUERY, document["id"])
        resolved = self._surroundings.resolved(QUERY, document)
        query = Query(document["id"], document, complete_query(resolved))
        for source_id in query.source_ids:
            if source_id not in self._registry.sources:
                raise ApiError(
                    failed(QUERY, "CREATE"),
                    f"query '{query.id}' reads source '{source_id}', which does not exist",
                )
        self._registry.queries[query.id] = query
        self._journal.event(QUERY, query.id, ADDED, "query added")
        if query.auto_start:
            await self._run(query, "CREATE")
        else:
            await self._check(query)

    async def start(self, query: Query) -> None:
        """Run a query that does not run; `ApiError` (500) leaves it in Error."""
        if query.status == ERROR:
            await self._end(query)
        if query.run is None:
            await self._run(query, "START")

    async def stop(self, query: Query) -> None:
        """Stop a query; its consumers stay, for the next start. `ApiError` if it did not start."""
        self._refuse_plugin_reactions(query)
        if query.run is not None:
            await self._end(query)
            self._status(query, STOPPED, "query stopped")
        elif query.status == ERROR:
            reason = f"query '{query.id}' does not run, it did not start: {query.error}"
            raise ApiError(failed(QUERY, "STOP"), reason)

    async def remove(self, query: Query) -> None:
        """Stop and forget a query; no reaction may take its results."""
        await self._end(query)
        del self._registry.queries[query.id]
        self._journal.removed(QUERY, query.id)
        for consumer in list(query.consumers):
            consumer(None)

    def consume(self, query: Query, consumer: Consumer) -> None:
        """Give `consumer` the results of changes from now on, or from when it began to."""
        query.consumers.setdefault(consumer, self._now_ns())

    def consume_anew(self) -> None:
        """Spare all consumers the results of changes before this call, of loaded elements say."""
        now_ns = self._now_ns()
        for query in self._registry.queries.values():
            query.consumers = dict.fromkeys(query.consumers, now_ns)

    async def results(self, query: Query) -> list[dict[str, Any]]:
        """The current rows; `ApiError` (400) when the query does not run."""
        if query.run is None:
            raise invalid(f"query '{query.id}' is not running")
        return await self._engine.results(query.run.engine_id)

    async def attach(self, query: Query) -> AsyncIterator[Result]:
        """Results from now on, until the query is deleted; the slow lose the oldest."""
        queue: asyncio.Queue[Result | None] = asyncio.Queue(ATTACHED_BACKLOG)

        def take(result: Result | None) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(result)

        self.consume(query, take)
        try:
            while (result := await queue.get()) is not None:
                yield result
        finally:
            query.consumers.pop(take, None)

    async def statuses(self) -> dict[str, str]:
        """Id → status of every query; what failed in the engine is noticed at the latest here."""
        in_engine = await self._engine.query_statuses()
        for query in self._registry.queries.values():
            if query.run is not None and in_engine.get(query.run.engine_id) == ERROR:
                self._fail(query, query.outlet, UNEXPLAINED)
        return {query.id: query.status for query in self._registry.queries.values()}

    async def _run(self, query: Query, verb: str) -> None:
        self._status(query, STARTING, "query starting")
        read = self._read(query)
        async with _in_order(read):
            run = query.run = await self._begin(query, read, verb)
            self._status(query, RUNNING, "query started")
            for source in read if query.resolved["enableBootstrap"] else ():
                for change in source.elements.replay():
                    await self._engine.push([run.feeds[source.id]], change)

    async def _check(self, query: Query) -> None:
        """Have the engine judge a query without running it for anybody."""
        read = self._read(query)
        async with _in_order(read):
            await self._engine.remove_query(await self._begin(query, read, "CREATE"))

    async def _begin(self, query: Query, read: list[Source], verb: str) -> Run:
        """A run of a query in the engine, still without data; `ApiError` leaves it in Error."""
        shared = {source.id: source.engine_id for source in read if source.engine_id is not None}
        outlet = query.outlet = Outlet()
        deliver = partial(self._hand_over, query, outlet)
        fail = partial(self._hear_of_failure, query, outlet)
        try:
            run = await self._engine.add_query(query.resolved, shared, deliver, fail)
        except QueryError as error:
            query.error = str(error)
            self._status(query, ERROR, f"query did not start: {error}")
            message = f"query '{query.id}' did not start: {error}"
            raise ApiError(failed(QUERY, verb), message, str(error)) from error
        outlet.handed = await self._engine.latest(run.engine_id)
        outlet.source_ids = {engine_id: id for id, engine_id in shared.items()}
        outlet.source_ids |= {feed.engine_id: id for id, feed in run.feeds.items()}
        query.error, query.has_run = None, True
        return run

    def _read(self, query: Query) -> list[Source]:
        return [self._registry.sources[id] for id in dict.fromkeys(query.source_ids)]

    def heard(self) -> list[Query]:
        """The queries whose results somebody takes."""
        registry = self._registry
        return [
            query
            for query in registry.queries.values()
            if query.consumers or registry.dependents(QUERY, query.id)
        ]

    def heard_by_plugins(self) -> list[Query]:
        """The queries whose results a plugin's reaction takes."""
        plugins = [each for each in self._registry.reactions.values() if each.sink is None]
        taken = {query_id for each in plugins for query_id in each.query_ids}
        return [self._registry.queries[query_id] for query_id in sorted(taken)]

    async def settle(self, queries: Iterable[Query]) -> None:
        """Return when they processed everything that was pushed, and their results are dispatched.

        Nothing may be pushed meanwhile. What plugins feed to queries is not waited for, nor is a
        query that failed.
        """
        await self.statuses()
        runs = [(query, query.run) for query in queries if query.run]
        await settle_all(
            (feed, queue_capacity(query.resolved))
            for query, run in runs
            for feed in run.feeds.values()
        )
        for query, run in runs:
            await query.outlet.reach(await self._engine.latest(run.engine_id))

    async def _end(self, query: Query) -> None:
        if query.run is not None:
            run, query.run = query.run, None
            await self._engine.remove_query(run)

    def _hear_of_failure(self, query: Query, outlet: Outlet, reason: str) -> None:
        """Called from the engine's threads."""
        with suppress(RuntimeError):  # the loop is closed: the host is going down
            self._loop.call_soon_threadsafe(self._fail, query, outlet, reason)

    def _fail(self, query: Query, outlet: Outlet, reason: str) -> None:
        """The engine gave up this run of a query: nobody waits for it any more."""
        is_known = query.status == ERROR and (reason == UNEXPLAINED or query.error != UNEXPLAINED)
        if query.run is None or query.outlet is not outlet or is_known:
            return
        for feed in query.run.feeds.values():
            feed.close()
        query.error = named(query.id, query.run.engine_id, reason)
        self._status(query, ERROR, query.error)

    def _hand_over(self, query: Query, outlet: Outlet, event: Result) -> None:
        """Called from the engine's threads: an exception here would end the subscription."""
        if query.consumers:
            with suppress(RuntimeError):  # the loop is closed: the host is going down
                self._loop.call_soon_threadsafe(self._dispatch, query, outlet, event)
        outlet.hand(event.get("sequence") or 0)

    def _dispatch(self, query: Query, outlet: Outlet, event: Result) -> None:
        metadata = event.get("metadata") or {}
        source_id = metadata.get("source_id", "")
        named = {**metadata, "source_id": outlet.source_ids.get(source_id, source_id)}
        result = {**event, "query_id": query.id, "metadata": named}
        caused_ns = (event.get("profiling") or {}).get("source_send_ns")
        for consumer, since_ns in list(query.consumers.items()):
            if caused_ns is not None and caused_ns < since_ns:
                continue
            try:
                consumer(result)
            except Exception as error:
                self._journal.log(
                    QUERY, query.id, "Error", f"a consumer failed: {type(error).__name__}"
                )

    def _refuse_plugin_reactions(self, query: Query) -> None:
        for reaction_id in self._registry.dependents(QUERY, query.id):
            reaction = self._registry.reactions[reaction_id]
            if reaction.engine_id is not None:
                raise ApiError(
                    failed(QUERY, "STOP"), f"stop reaction '{reaction_id}' of a plugin first"
                )

    def _status(self, query: Query, status: str, message: str) -> None:
        query.status = status
        self._journal.event(QUERY, query.id, status, message)

    def _now_ns(self) -> int:
        return nanoseconds(self._clock.now())


@asynccontextmanager
async def _in_order(sources: Iterable[Source]) -> AsyncIterator[None]:
    """While no source hands a change to its queries."""
    async with AsyncExitStack() as held:
        for source in sorted(sources, key=lambda source: source.id):
            await held.enter_async_context(source.order)
        yield
