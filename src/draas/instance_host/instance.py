"""One instance: its components, changed one request at a time, and written back to its file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from draas.contract.drasi_server import (
    COLLECTIONS,
    COMPONENT_AUTO_START,
    CONFIG_READ_ONLY,
    LEADER,
    QUERY,
    REACTION,
    SOURCE,
    failed,
)
from draas.instance_host.change_log import ChangeLog
from draas.instance_host.config_file import ConfigFile
from draas.instance_host.documents import Document, complete_query
from draas.instance_host.engine import Engine
from draas.instance_host.errors import ApiError, StartError, wrong_role
from draas.instance_host.handover import Handover
from draas.instance_host.journal import Journal
from draas.instance_host.query_set import QuerySet
from draas.instance_host.reaction_set import ReactionSet
from draas.instance_host.registry import Reaction, Registry, Source
from draas.instance_host.source_set import SourceSet
from draas.instance_host.surroundings import Surroundings
from draas.model.clock import Clock


class Instance:
    """What the API acts on; empty until `load`.

    `settings` are the file's root as it is written after each change; None if it is not.
    """

    def __init__(
        self,
        instance_id: str,
        engine: Engine,
        file: ConfigFile,
        settings: dict[str, Any] | None,
        *,
        clock: Clock,
        environment: Mapping[str, str],
    ) -> None:
        self.id = instance_id
        self.clock = clock
        self.registry = Registry()
        self.journal = Journal(clock)
        surroundings = Surroundings(engine, self.registry, self.journal, clock, environment)
        self._changes = asyncio.Lock()
        log = ChangeLog(clock.new_id())
        self.sources = SourceSet(surroundings, log)
        self.queries = QuerySet(surroundings)
        self.reactions = ReactionSet(surroundings, self.queries)
        self.handover = Handover(
            self.registry,
            log,
            clock.new_id,
            self._changes,
            self.sources,
            self.queries,
            self.reactions,
        )
        self._engine = engine
        self._file = file
        self._settings = settings

    async def load(self) -> None:
        """Add what the file configures, and start it; feeders last, so that nothing is missed.

        `StartError` names the first component that cannot be added or started.
        """
        document = self._file.document
        try:
            for entry in document.get(COLLECTIONS[SOURCE]) or ():
                await self.sources.add(entry)
            for entry in document.get(COLLECTIONS[QUERY]) or ():
                await self.queries.add(entry)
            for entry in document.get(COLLECTIONS[REACTION]) or ():
                reaction = await self.reactions.add(entry)
                if reaction.auto_start:
                    await self.reactions.start(reaction)
            for source in self.registry.sources.values():
                if source.auto_start:
                    await self.sources.start(source)
        except ApiError as error:
            raise StartError(error.message) from error

    async def close(self) -> None:
        """Stop feeders and sinks, then the engine."""
        await self.handover.close()
        for source in self.registry.sources.values():
            if source.feeder is not None:
                await self.sources.stop(source)
        for reaction in self.registry.reactions.values():
            await self.reactions.stop(reaction)
        await self._engine.close()

    async def add(self, kind: str, document: Document) -> str:
        """Create a component and start it if it starts by itself; a message for the client.

        A source or reaction that cannot start is not kept.
        """
        async with self._change():
            if kind == QUERY:
                await self.queries.add(document)
                return "Query created successfully"
            if kind == SOURCE:
                await self._add_source(document)
            else:
                await self._add_reaction(document)
            return f"{kind.capitalize()} '{document['id']}' created successfully"

    async def upsert(self, kind: str, document: Document) -> str:
        """Create or replace a source or reaction; a message for the client."""
        component_id = document["id"]
        async with self._change():
            if component_id not in self.registry.of(kind):
                if kind == SOURCE:
                    await self._add_source(document)
                else:
                    await self._add_reaction(document)
                return f"{kind.capitalize()} '{component_id}' created successfully"
            if kind == SOURCE:
                await self.sources.replace(document)
            else:
                await self.reactions.replace(document)
            return f"{kind.capitalize()} '{component_id}' updated successfully"

    async def remove(self, kind: str, component_id: str) -> str:
        """Delete a component; `*_DELETE_FAILED` (500) if it is unknown or something reads it."""
        async with self._change():
            component = self.registry.of(kind).get(component_id)
            if component is None:
                raise ApiError(failed(kind, "DELETE"), f"{kind} '{component_id}' not found")
            dependents = self.registry.dependents(kind, component_id)
            if dependents:
                names = ", ".join(dependents)
                message = f"cannot delete {kind} '{component_id}': depended on by {names}"
                raise ApiError(failed(kind, "DELETE"), message)
            await self._set(kind).remove(component)
            return f"{kind.capitalize()} deleted successfully"

    async def start(self, kind: str, component_id: str) -> str:
        """Start a component; not written to the file."""
        async with self._changes:
            await self._set(kind).start(self.registry.get(kind, component_id))
            return f"{kind.capitalize()} started successfully"

    async def stop(self, kind: str, component_id: str) -> str:
        """Stop a component; not written to the file."""
        async with self._changes:
            await self._set(kind).stop(self.registry.get(kind, component_id))
            return f"{kind.capitalize()} stopped successfully"

    async def _add_source(self, document: Document) -> None:
        if self.handover.role != LEADER:
            raise wrong_role("only the host that leads takes new sources: others lack their data")
        source: Source = await self.sources.add(document)
        try:
            if source.auto_start:
                await self.sources.start(source)
        except ApiError as error:
            await self.sources.remove(source)
            raise ApiError(failed(SOURCE, "CREATE"), error.message) from error

    async def _add_reaction(self, document: Document) -> None:
        reaction: Reaction = await self.reactions.add(document)
        try:
            if reaction.auto_start:
                await self.reactions.start(reaction)
        except ApiError as error:
            await self.reactions.remove(reaction)
            raise ApiError(failed(REACTION, "CREATE"), error.message) from error

    def _set(self, kind: str) -> Any:
        return {SOURCE: self.sources, QUERY: self.queries, REACTION: self.reactions}[kind]

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[None]:
        if self._file.read_only:
            raise ApiError(
                CONFIG_READ_ONLY, "Server is in read-only mode: its file cannot be written"
            )
        async with self._changes:
            yield
            if self._settings is not None:
                self._file.save(self._settings, self._components())

    def _components(self) -> dict[str, list[Document]]:
        return {
            COLLECTIONS[SOURCE]: [_written(s) for s in self.registry.sources.values()],
            COLLECTIONS[QUERY]: [
                complete_query(query.config)
                for query in self.registry.queries.values()
                if query.has_run  # the next start would end with any other
            ],
            COLLECTIONS[REACTION]: [_written(r) for r in self.registry.reactions.values()],
        }


def _written(component: Source | Reaction) -> Document:
    return {"autoStart": COMPONENT_AUTO_START, **component.config}
