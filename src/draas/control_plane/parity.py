"""Result parity: a query whose text did not change gives the same rows in both slots."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import msgspec

from draas.contract.drasi_server import LEADER
from draas.contract.slots import MOST_ROWS, Parity, QueryParity
from draas.control_plane.fleet import Fleet
from draas.control_plane.handover import Handover, HandoverError
from draas.control_plane.leadership import Leadership
from draas.control_plane.monitor import running_in, running_of
from draas.control_plane.ports import Observer, Running
from draas.model.configuration import ConfigurationError, from_snapshot

SETTLING_SECONDS = 2.0
"""How long the one that follows gets to come to the same change; changes wait meanwhile."""
GRACE_SECONDS = 0.5
"""How long its queries get to be through with that change."""
PAUSE = 0.05
_DEFINING = ("query", "queryLanguage", "sources", "joins", "middleware")


class ParityCheck:
    """Compares rows at one and the same change, so that what is in flight is no difference.

    Where the rows are equal at once nothing is disturbed. Where they are not, the leader takes no
    changes while they are compared; those that come meanwhile wait.
    """

    def __init__(
        self, fleet: Fleet, handover: Handover, leadership: Leadership, observer: Observer
    ) -> None:
        self._fleet = fleet
        self._leadership = leadership
        self._handover = handover
        self._observer = observer

    async def compare(self, instance_id: str) -> Parity:
        """Every query that both slots run with the same text; none where only one slot runs.

        Raises:
            ProblemError: there is no such instance.
        """
        record = self._fleet.get(instance_id)
        serving = running_of(record)
        spare = running_in(record, record.spare.name) if record.spare else None
        if serving is None or spare is None:
            return Parity()
        try:
            queries = await self._unchanged(serving, spare)
        except (HandoverError, ConfigurationError) as error:
            return Parity(queries=[QueryParity(id="", reason=str(error)[:300])])
        found = [await self._once(serving, spare, query) for query in queries]
        if any(each.same is not True for each in found):
            async with self._leadership.turn(instance_id):
                found = await self._settled(serving, spare, queries)
        return Parity(queries=found)

    async def _unchanged(self, serving: Running, spare: Running) -> list[str]:
        one, other = await asyncio.gather(self._queries(serving), self._queries(spare))
        return sorted(name for name, query in one.items() if other.get(name) == query)

    async def _queries(self, running: Running) -> dict[str, Any]:
        seen = await self._observer.observe(running)
        if seen.snapshot is None:
            raise HandoverError(f"slot {running.slot!r}: {seen.reason or 'it does not answer'}")
        return {
            query["id"]: [query.get(name) for name in _DEFINING]
            for query in from_snapshot(seen.snapshot)["queries"]
        }

    async def _settled(
        self, serving: Running, spare: Running, queries: list[str]
    ) -> list[QueryParity]:
        """The same while nothing changes."""
        leads = spare
        try:
            if (await self._handover.status(serving)).role == LEADER:
                leads = serving
            sequence = await self._handover.seal(leads, None)
        except HandoverError as error:
            return [QueryParity(id=query, reason=str(error)[:300]) for query in queries]
        try:
            follows = spare if leads is serving else serving
            now = asyncio.get_running_loop().time
            enough: float | None = None
            async with asyncio.timeout(SETTLING_SECONDS):
                while True:
                    arrived = (await self._handover.status(follows)).sequence >= sequence
                    if arrived and enough is None:
                        enough = now() + GRACE_SECONDS
                    found = [await self._once(serving, spare, query) for query in queries]
                    if all(each.same for each in found) or (enough and now() > enough):
                        return found
                    await asyncio.sleep(PAUSE)
        except HandoverError as error:
            return [QueryParity(id=query, reason=str(error)[:300]) for query in queries]
        except TimeoutError:
            return [QueryParity(id=query, reason="it did not settle in time") for query in queries]
        finally:
            with contextlib.suppress(HandoverError):
                await self._handover.unseal(leads)

    async def _once(self, serving: Running, spare: Running, query: str) -> QueryParity:
        try:
            one, other = await asyncio.gather(
                self._handover.rows(serving, query), self._handover.rows(spare, query)
            )
        except HandoverError as error:
            return QueryParity(id=query, reason=str(error)[:300])
        return compared(query, one, other)


def compared(query: str, serving: list[Any], other: list[Any]) -> QueryParity:
    """Rows are compared as what they are, in any order, as often as they are there."""
    one, two = (Counter(_canonical(row) for row in rows) for rows in (serving, other))
    missing, extra = one - two, two - one
    if not missing and not extra:
        return QueryParity(id=query, same=True)
    return QueryParity(
        id=query,
        same=False,
        reason=f"{missing.total()} rows are missing and {extra.total()} are there beside them",
        missing=_rows(missing),
        extra=_rows(extra),
    )


def _canonical(row: Any) -> bytes:
    return msgspec.json.encode(row, order="deterministic")


def _rows(found: Counter[bytes]) -> list[Any]:
    return [msgspec.json.decode(row) for row in list(found.elements())[:MOST_ROWS]]
