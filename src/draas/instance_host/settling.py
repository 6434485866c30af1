"""Waiting until queries and reactions are through with what they were given, with an end to it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from draas.instance_host.errors import not_now
from draas.instance_host.query_set import QuerySet
from draas.instance_host.reaction_set import ReactionSet
from draas.instance_host.registry import Query, Registry

SETTLE_SECONDS = 8.0
SETTLE_SECONDS_A_QUERY = 0.25
"""To be certain of a query without a recent row takes 0.05 to 0.1 s of a core, each for itself."""
SETTLE_SECONDS_AT_MOST = 20.0
LAST_WORDS_SECONDS = 4.0
"""How long a host that is about to end waits at most."""
LAST_PATIENCE_SECONDS = 1.0
"""How long it waits for certainty about queries that give no results any more."""
ROWS_SECONDS = 1.0
"""How long a host waits at its start until queries have the rows of the elements given to it."""
ROWS_PATIENCE_SECONDS = 0.5
"""How long it waits for certainty about queries that give no rows any more."""

_log = logging.getLogger("draas.instance")


class Settling:
    """Nothing may be pushed while somebody waits here."""

    def __init__(self, registry: Registry, queries: QuerySet, reactions: ReactionSet) -> None:
        self._registry = registry
        self._queries = queries
        self._reactions = reactions

    @property
    def seconds(self) -> float:
        """How long a seal or a promotion may take."""
        needed = SETTLE_SECONDS_A_QUERY * len(self._registry.queries)
        return min(max(SETTLE_SECONDS, needed), SETTLE_SECONDS_AT_MOST)

    async def loaded(self) -> None:
        """Wait until no reaction can take an element for news, and a moment for all rows."""
        await self._queries.settle(self._queries.heard_by_plugins())
        with suppress(TimeoutError):
            async with asyncio.timeout(ROWS_SECONDS):
                queries = list(self._registry.queries.values())
                await self._are_through(queries, ROWS_PATIENCE_SECONDS)
        self._reactions.loaded()

    async def through(self) -> None:
        """All queries processed all changes; `ApiError` (503) when that takes too long."""
        try:
            async with asyncio.timeout(self.seconds):
                await self._queries.settle(self._registry.queries.values())
        except Exception as error:
            raise not_now(
                f"queries did not get through with all changes ({type(error).__name__})"
            ) from error

    async def deliver(self) -> None:
        """Let reactions deliver what they have, as far as that goes; changes may come meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                await self._reactions.settle()

    async def delivered(self) -> None:
        """All changes are processed, and their results delivered."""
        await self._queries.settle(self._registry.queries.values())
        await self._reactions.settle()

    async def last_words(self) -> None:
        """Have results delivered before the host ends; the log tells if some may be lost."""
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                if not await self._are_through(self._queries.heard(), LAST_PATIENCE_SECONDS):
                    _log.warning(
                        "it is not certain that all queries are through before the end of this "
                        "host: results of the last changes may be lost, elements are not"
                    )
                await self._reactions.settle()
        except Exception as error:
            _log.warning(
                "reactions have not delivered all results before the end of this host (%s): "
                "what is left is lost, elements are not",
                type(error).__name__,
            )

    async def _are_through(self, queries: list[Query], patience: float) -> bool:
        """Whether queries processed all changes; given up when for so long no result came."""
        settling = asyncio.ensure_future(self._queries.settle(queries))
        try:
            given = -1
            while not settling.done() and given < (now := sum(q.outlet.handed for q in queries)):
                given = now
                await asyncio.wait({settling}, timeout=patience)
            if settling.done():
                settling.result()
            return settling.done()
        finally:
            settling.cancel()
