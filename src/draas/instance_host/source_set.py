"""Sources: adding, replacing, starting and stopping them, and feeding the engine in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial

from draas.contract.drasi_server import (
    ERROR,
    RECONFIGURING,
    RUNNING,
    SOURCE,
    STARTING,
    STOPPED,
    STOPPING,
    failed,
)
from draas.instance_host import sources
from draas.instance_host.change_log import FORGET, ChangeLog
from draas.instance_host.documents import Document, properties
from draas.instance_host.elements import Change
from draas.instance_host.engine import PluginError
from draas.instance_host.errors import ApiError, NotLeadingError, invalid, naming
from draas.instance_host.http_client import Target, send
from draas.instance_host.registry import Source
from draas.instance_host.sources.changes import NANOSECONDS_A_MILLISECOND, changes_of
from draas.instance_host.surroundings import Surroundings
from draas.instance_host.values import whole_of, without_values
from draas.model.clock import nanoseconds

BUILT_IN_BOOTSTRAP = ("noop", "application")


class SourceSet:
    """The sources of one instance.

    A stop closes the gate between feeder and queries, and a new configuration swaps the feeder
    alone: an engine source that is stopped leaves its queries deaf. Changes enter by `feed` where
    this host leads, each numbered in `log`, and by `follow` where another does; `intake` takes
    those of clients and sends them where they belong.
    """

    def __init__(self, surroundings: Surroundings, log: ChangeLog) -> None:
        self.leads = True
        self.intake: Callable[[str, Change], Awaitable[None]]
        self._log = log
        self._surroundings = surroundings
        self._engine = surroundings.engine
        self._registry = surroundings.registry
        self._journal = surroundings.journal
        self._clock = surroundings.clock

    async def add(self, document: Document) -> Source:
        """Register a source without starting it; `ApiError` when its kind or a key is bad."""
        source_id = document["id"]
        self._registry.refuse_duplicate(SOURCE, source_id)
        resolved = self._surroundings.resolved(SOURCE, document)
        self._check_kind(resolved)
        source = Source(source_id, document, resolved)
        if resolved["kind"] in self._engine.source_kinds:
            source.engine_id = await self._add_to_engine(resolved)
        else:
            source.feeder = self._feeder(source, resolved)
        self._registry.sources[source_id] = source
        self._journal.event(SOURCE, source_id, source.status, "source added")
        return source

    async def replace(self, document: Document) -> None:
        """Give a source a new configuration; its queries and its elements stay as they are.

        `ApiError` leaves the old configuration in force.
        """
        source = self._registry.sources[document["id"]]
        resolved = self._surroundings.resolved(SOURCE, document)
        self._check_kind(resolved)
        if source.feeder is None or resolved["kind"] in self._engine.source_kinds:
            raise ApiError(
                failed(SOURCE, "CREATE"),
                f"source '{source.id}' is run by a plugin: delete it and its queries, then add it",
            )
        feeder = self._feeder(source, resolved)
        old, was_running = source.feeder, source.status == RUNNING
        self._status(source, RECONFIGURING, "source reconfiguring")
        await old.stop()
        source.feeder = feeder
        try:
            await self.start(source, wanted=was_running or resolved.get("autoStart", True))
        except ApiError:
            source.feeder = old
            await self.start(source, wanted=was_running)
            raise
        source.config, source.resolved = document, resolved

    async def start(self, source: Source, wanted: bool = True) -> None:
        """Start feeding; nothing if it runs. `ApiError` (500) leaves it in Error."""
        if not wanted:
            self._status(source, STOPPED, "source stopped")
            return
        if source.status == RUNNING:
            return
        self._status(source, STARTING, "source starting")
        try:
            if source.engine_id is not None:
                await self._engine.start_source(source.engine_id)
            elif source.feeder and (self.leads or not source.feeder.generates):
                await source.feeder.start()
        except (OSError, PluginError) as error:
            reason = str(error)
            if isinstance(error, PluginError):
                reason = without_values(reason, properties(SOURCE, source.resolved))
            source.error = reason
            self._status(source, ERROR, f"source did not start: {reason}")
            raise ApiError(
                failed(SOURCE, "START"), f"source '{source.id}' did not start: {reason}"
            ) from error
        source.error = None
        self._status(source, RUNNING, "source started")

    async def stop(self, source: Source) -> None:
        """Close the gate, then stop the feeder; nothing is applied until the next start."""
        if source.feeder is None:
            raise ApiError(
                failed(SOURCE, "STOP"),
                f"source '{source.id}' is run by a plugin; its queries would not hear it again",
            )
        if source.status in (STOPPED, STOPPING):
            return
        async with source.order:
            self._status(source, STOPPING, "source stopping")
        await source.feeder.stop()
        self._status(source, STOPPED, "source stopped")

    async def remove(self, source: Source) -> None:
        """Stop feeding and forget the source; nothing may read it."""
        if source.engine_id is None:
            await self.stop(source)
        else:
            await self._engine.remove_source(source.engine_id)
        del self._registry.sources[source.id]
        if self.leads and len(source.elements):
            self._log.record(source.id, FORGET)
        self._journal.removed(SOURCE, source.id)

    async def push(self, source_id: str, document: object) -> None:
        """Take changes in the HTTP source's format: one, or a batch under `events`.

        A source that is not here may be one of the leader's.
        """
        source = self._registry.sources.get(source_id)
        if source is not None and source.feeder is None:
            await self._proxy(source, document)
            return
        for change in changes_of(document):
            await self.intake(source_id, change)

    async def feed(self, source: Source, change: Change) -> None:
        """Hand one change to the engine, whole even if the caller is cancelled meanwhile.

        `NotLeadingError` when another host has to, and nothing was done.
        """
        await asyncio.shield(self._feed(source, change))

    async def follow(self, source: Source, change: Change) -> None:
        """Hand one change of the leader to the engine."""
        async with source.order:
            if change == FORGET:
                for element_id in source.elements.ids():
                    await self._apply(source, {"op": "delete", "id": element_id})
            else:
                await self._apply(source, change)

    def lead(self) -> list[sources.Feeder]:
        """From now on changes are fed here; what generates them is left to be started."""
        self.leads = True
        found = []
        for source in self._registry.sources.values():
            if source.feeder is not None and source.feeder.generates and source.status == RUNNING:
                source.feeder.resume(source.elements.ids())
                found.append(source.feeder)
        return found

    async def rest(self) -> None:
        """Feed no more changes; on return none is under way."""
        self.leads = False
        for source in self._registry.sources.values():
            if source.feeder is not None and source.feeder.generates:
                await source.feeder.stop()
            async with source.order:
                pass

    async def _feed(self, source: Source, change: Change) -> None:
        async with source.order:
            if not self.leads:
                raise NotLeadingError
            if source.status != RUNNING:
                raise invalid(f"source '{source.id}' is not running: the change was not applied")
            self._log.record(source.id, await self._apply(source, change))

    async def _apply(self, source: Source, change: Change) -> Change:
        """The change as it was applied: from now on, unless it says; to the engine from 1970."""
        now = nanoseconds(self._clock.now()) // NANOSECONDS_A_MILLISECOND
        safe = source.elements.safe({"effective_from": now, **change})
        await self._engine.push(self._registry.feeds(source.id), safe)
        source.elements.note(safe)
        return safe

    async def _add_to_engine(self, resolved: Document) -> str:
        config, bootstrap = properties(SOURCE, resolved), resolved.get("bootstrapProvider")
        try:
            return await self._engine.add_plugin_source(
                resolved["kind"], resolved["id"], config, bootstrap
            )
        except PluginError as error:
            reason = without_values(without_values(str(error), config), bootstrap)
            message = f"source '{resolved['id']}' was refused by its plugin: {reason}"
            raise ApiError(failed(SOURCE, "CREATE"), message) from error

    async def _proxy(self, source: Source, document: object) -> None:
        resolved = source.resolved
        if resolved["kind"] != "http":
            raise invalid(f"source '{source.id}' takes no pushes: it is run by a plugin")
        host = str(resolved.get("host", "127.0.0.1")).replace("0.0.0.0", "127.0.0.1")
        port = whole_of(resolved.get("port", 8080), "port", 1, 65535)
        target = Target(host, port, f"/sources/{source.engine_id}/events", False)
        headers = {"content-type": "application/json"}
        try:
            status, _ = await send("POST", target, headers, json.dumps(document).encode(), 10.0)
        except (OSError, TimeoutError) as error:
            raise ApiError(failed(SOURCE, "PUSH"), f"source '{source.id}': {error}") from error
        if 400 <= status < 500:
            raise invalid(f"source '{source.id}' answered {status}")
        if not 200 <= status < 300:  # 0 is an answer without an end
            raise ApiError(failed(SOURCE, "PUSH"), f"source '{source.id}' answered {status}")

    def _feeder(self, source: Source, resolved: Document) -> sources.Feeder:
        with naming(f"source '{source.id}'"):
            return sources.make_feeder(
                resolved["kind"],
                source.id,
                properties(SOURCE, resolved),
                own=partial(self.feed, source),
                taken=lambda change: self.intake(source.id, change),
                clock=self._clock,
            )

    def _check_kind(self, document: Document) -> None:
        kind, known = document["kind"], {*sources.KINDS, *self._engine.source_kinds}
        if kind not in known:
            raise unknown_kind(SOURCE, kind, known)
        bootstrap = document.get("bootstrapProvider")
        if bootstrap is None or kind in self._engine.source_kinds:
            return
        provider = bootstrap.get("kind") if isinstance(bootstrap, dict) else bootstrap
        if provider not in BUILT_IN_BOOTSTRAP:
            raise invalid(
                f"source '{document['id']}'.bootstrapProvider: '{provider}' needs a source from "
                f"--plugins-dir; here are {', '.join(BUILT_IN_BOOTSTRAP)}"
            )

    def _status(self, source: Source, status: str, message: str) -> None:
        source.status = status
        self._journal.event(SOURCE, source.id, status, message)


def unknown_kind(component: str, kind: str, known: set[str]) -> ApiError:
    """The error for a kind that neither the host nor a plugin provides."""
    return ApiError(
        failed(component, "CREATE"),
        f"unknown {component} kind '{kind}': known are {', '.join(sorted(known))}; "
        "other kinds come from plugins, see --plugins-dir",
    )
