"""Reactions: adding, replacing, starting and stopping them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from draas.contract.drasi_server import (
    ERROR,
    REACTION,
    RECONFIGURING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    failed,
)
from draas.instance_host import reactions
from draas.instance_host.documents import Document, properties
from draas.instance_host.engine import PluginError
from draas.instance_host.errors import ApiError, naming
from draas.instance_host.query_set import QuerySet
from draas.instance_host.reactions import Result
from draas.instance_host.registry import Consumer, Reaction
from draas.instance_host.source_set import unknown_kind
from draas.instance_host.surroundings import Surroundings
from draas.instance_host.values import without_values

SETTLE_SECONDS = 1.0
HELD = "reaction is held: another host of the instance leads, whose reactions deliver"


class ReactionSet:
    """The reactions of one instance.

    Those of the host never enter the engine, which would refuse their ids when they come back.
    While another host leads, `held`, they run and drop what they get: that host's reactions deliver
    it. Only those with clients of their own go on. A plugin's reaction, which cannot be told so, is
    in the engine only while nothing is held. While elements are loaded, `loading`, none delivers.
    """

    def __init__(self, surroundings: Surroundings, queries: QuerySet) -> None:
        self.held = False
        self.loading = False
        self._surroundings = surroundings
        self._engine = surroundings.engine
        self._registry = surroundings.registry
        self._queries = queries
        self._journal = surroundings.journal
        self._clock = surroundings.clock

    async def add(self, document: Document) -> Reaction:
        """Register a reaction without starting it; `ApiError` when something in it is bad."""
        self._registry.refuse_duplicate(REACTION, document["id"])
        resolved = self._surroundings.resolved(REACTION, document)
        reaction = Reaction(document["id"], document, resolved, self._sink(resolved))
        self._registry.reactions[reaction.id] = reaction
        self._journal.event(REACTION, reaction.id, reaction.status, "reaction added")
        return reaction

    async def replace(self, document: Document) -> None:
        """Give a reaction a new configuration; `ApiError` leaves the old one in force.

        The old sink has a second for what it took, then that is the new one's.
        """
        reaction = self._registry.reactions[document["id"]]
        resolved = self._surroundings.resolved(REACTION, document)
        sink = self._sink(resolved)
        old = (reaction.config, reaction.resolved, reaction.sink)
        was_running = reaction.status == RUNNING
        self._status(reaction, RECONFIGURING, "reaction reconfiguring")
        if reaction.sink is not None and was_running:
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS):
                    await reaction.sink.settle()
        await self._end(reaction, keep=set(resolved.get("queries") or ()))
        reaction.config, reaction.resolved, reaction.sink = document, resolved, sink
        self._pass_on(reaction, old[2], sink)
        try:
            await self.start(reaction, wanted=was_running or reaction.auto_start)
        except ApiError:
            reaction.config, reaction.resolved, reaction.sink = old
            self._pass_on(reaction, sink, old[2])
            await self.start(reaction, wanted=was_running)
            raise

    async def start(self, reaction: Reaction, wanted: bool = True) -> None:
        """Start taking results; nothing if it runs. `ApiError` (500) leaves it in Error."""
        if not wanted:
            self._status(reaction, STOPPED, "reaction stopped")
            return
        if reaction.status == RUNNING:
            return
        self._status(reaction, STARTING, "reaction starting")
        try:
            if reaction.sink is None:
                if not self.held:
                    await self._start_plugin(reaction)
            else:
                await reaction.sink.start()
        except (OSError, PluginError) as error:
            reason = str(error)
            if isinstance(error, PluginError):
                reason = without_values(reason, properties(REACTION, reaction.resolved))
            reaction.error = reason
            self._status(reaction, ERROR, f"reaction did not start: {reason}")
            message = f"reaction '{reaction.id}' did not start: {reason}"
            raise ApiError(failed(REACTION, "START"), message) from error
        reaction.error = None
        if reaction.sink is not None:
            self._consume(reaction, self._consumer(reaction))
        self._status(reaction, RUNNING, "reaction started")
        if self.holds(reaction):
            self._journal.log(REACTION, reaction.id, "Info", HELD)

    async def stop(self, reaction: Reaction) -> None:
        """Stop taking results; those of the time until the next start are not taken later."""
        if reaction.status in (STOPPED, STOPPING):
            return
        self._status(reaction, STOPPING, "reaction stopping")
        await self._end(reaction)
        self._status(reaction, STOPPED, "reaction stopped")

    async def settle(self) -> None:
        """Return when everything that reactions took is delivered."""
        for reaction in self._running():
            if reaction.sink is not None:
                await reaction.sink.settle()

    def holds(self, reaction: Reaction) -> bool:
        """Whether what a reaction gets is dropped, because another host delivers it."""
        return self.held and not (reaction.sink is not None and reaction.sink.own_clients)

    async def hold(self) -> None:
        """From now on another host delivers."""
        self.held = True
        for reaction in filter(self.holds, self._running()):
            if reaction.engine_id is not None:
                await self._engine.remove_reaction(reaction.engine_id)
                reaction.engine_id = None
            self._journal.log(REACTION, reaction.id, "Info", HELD)

    async def release(self) -> None:
        """Deliver what comes from now on: what came before this call is dropped for good."""
        held = [reaction for reaction in self._running() if self.holds(reaction)]
        self.held = False
        for reaction in held:
            self._journal.log(REACTION, reaction.id, "Info", "reaction is no longer held")
            if reaction.sink is None:
                try:
                    await self._start_plugin(reaction)
                except PluginError as error:
                    config = properties(REACTION, reaction.resolved)
                    reaction.error = without_values(str(error), config)
                    message = f"reaction did not start: {reaction.error}"
                    self._status(reaction, ERROR, message)

    def loaded(self) -> None:
        """The elements are there: who has clients of its own delivers what comes from now on."""
        self._queries.consume_anew()
        self.loading = False

    def _pass_on(
        self, reaction: Reaction, old: reactions.Sink | None, new: reactions.Sink | None
    ) -> None:
        unsent = old.unsent() if old is not None else []
        if new is not None:
            for result in unsent:
                new.deliver(result)
        elif unsent:
            rows = sum(len(result["results"]) for result in unsent)
            self._journal.log(REACTION, reaction.id, "Warn", f"rows lost undelivered: {rows}")

    def _running(self) -> list[Reaction]:
        return [each for each in self._registry.reactions.values() if each.status == RUNNING]

    async def remove(self, reaction: Reaction) -> None:
        """Stop and forget a reaction; what it had still to deliver is lost, as the log tells."""
        await self._end(reaction)
        self._pass_on(reaction, reaction.sink, None)
        del self._registry.reactions[reaction.id]
        self._journal.removed(REACTION, reaction.id)

    def _sink(self, resolved: Document) -> reactions.Sink | None:
        """The sink of a built-in kind, None for a plugin's; checks everything it can."""
        kind, reaction_id = resolved["kind"], resolved["id"]
        for query_id in resolved.get("queries") or ():
            if query_id not in self._registry.queries:
                raise ApiError(
                    failed(REACTION, "CREATE"),
                    f"reaction '{reaction_id}' takes query '{query_id}', which does not exist",
                )
            if not self._registry.queries[query_id].has_run:
                raise ApiError(
                    failed(REACTION, "CREATE"),
                    f"reaction '{reaction_id}' takes query '{query_id}', which did not start: "
                    "delete that and add it again, mended",
                )
        known = {*reactions.KINDS, *self._engine.reaction_kinds}
        if kind not in known:
            raise unknown_kind(REACTION, kind, known)
        if kind in self._engine.reaction_kinds:
            return None
        warn = partial(self._journal.log, REACTION, reaction_id, "Warn")
        config = properties(REACTION, resolved)
        with naming(f"reaction '{reaction_id}'"):
            return reactions.make_sink(kind, reaction_id, config, self._clock, warn)

    def _consumer(self, reaction: Reaction) -> Consumer:
        def take(result: Result | None) -> None:
            if result is None or reaction.sink is None or self.loading or self.holds(reaction):
                return
            reaction.sink.deliver(result)

        return reaction.consumer or take

    def _consume(self, reaction: Reaction, consumer: Consumer) -> None:
        reaction.consumer = consumer
        for query_id in reaction.query_ids:
            self._queries.consume(self._registry.queries[query_id], consumer)

    async def _start_plugin(self, reaction: Reaction) -> None:
        queries = [self._registry.queries[query_id] for query_id in reaction.query_ids]
        engine_ids = [q.run.engine_id for q in queries if q.run and q.status == RUNNING]
        if len(engine_ids) < len(queries):
            raise PluginError("one of its queries is not running")
        config = properties(REACTION, reaction.resolved)
        reaction.engine_id = await self._engine.add_plugin_reaction(
            reaction.resolved["kind"], reaction.id, engine_ids, config
        )

    async def _end(self, reaction: Reaction, keep: set[str] | None = None) -> None:
        """Take no more results; those of the queries in `keep` go on to the next sink."""
        for query_id in reaction.query_ids:
            if reaction.consumer is not None and query_id not in (keep or ()):
                self._registry.queries[query_id].consumers.pop(reaction.consumer, None)
        if reaction.engine_id is not None:
            await self._engine.remove_reaction(reaction.engine_id)
            reaction.engine_id = None
        if reaction.sink is not None:
            await reaction.sink.stop()

    def _status(self, reaction: Reaction, status: str, message: str) -> None:
        reaction.status = status
        self._journal.event(REACTION, reaction.id, status, message)
