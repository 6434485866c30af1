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
from draas.control_plane.mirroring import is_mirrored
from draas.control_plane.monitor import running_in, running_of
from draas.control_plane.placement import losses
from draas.control_plane.ports import Observer, Running
from draas.model.configuration import Configuration, ConfigurationError, from_snapshot

SETTLING_SECONDS = 2.0
"""How long the one that follows gets to come to the same change; changes wait meanwhile."""
SETTLING_SECONDS_A_QUERY = 0.25
"""What its queries get, each for itself, to be through with that change."""
LOOKS, LOOK_SECONDS = 10, 0.3
"""So often rows are read again that differ between slots of which one cannot follow the other."""
Rows = Counter[bytes]
"""Rows in their canonical form, each as often as it is there."""
_DEFINING = ("query", "queryLanguage", "sources", "joins", "middleware")


class ParityCheck:
    """Compares rows at one and the same change, so that what is in flight is no difference.

    Where rows are equal at once nothing is disturbed. Where they are not, the leader takes no
    changes until the other one is through with its last, and they are compared; changes that come
    meanwhile wait. Of a slot that cannot follow, which no change can be told of, rows count that
    differ for as long as they are looked at. Queries that begin empty are left out.
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
        mirrored = is_mirrored(record)
        try:
            queries = await self._unchanged(serving, spare, hands_over=not mirrored)
        except (HandoverError, ConfigurationError) as error:
            return Parity(queries=[QueryParity(id="", reason=str(error)[:300])])
        if mirrored:
            looks = (self._watched(serving, spare, query) for query in queries)
            return Parity(queries=list(await asyncio.gather(*looks)))
        found = await self._all(serving, spare, queries)
        if left := _unequal(found):
            async with self._leadership.turn(instance_id):
                again = {each.id: each for each in await self._settled(serving, spare, left)}
            found = [again.get(each.id, each) for each in found]
        return Parity(queries=found)

    async def _unchanged(self, serving: Running, spare: Running, *, hands_over: bool) -> list[str]:
        old, new = await asyncio.gather(self._components(serving), self._components(spare))
        one, other = _defined(old), _defined(new)
        empty = {each.query for each in losses(new, hands_over=hands_over)}
        return sorted(name for name in one.keys() - empty if other.get(name) == one[name])

    async def _components(self, running: Running) -> Configuration:
        seen = await self._observer.observe(running)
        if seen.snapshot is None:
            raise HandoverError(f"slot {running.slot!r}: {seen.reason or 'it does not answer'}")
        return from_snapshot(seen.snapshot)

    async def _watched(self, serving: Running, spare: Running, query: str) -> QueryParity:
        """Look again and again: the same once all that differed at first is there on both sides.

        Rows that differ in every look are a difference. Else nobody knows: they changed before
        they could be seen on the other side, as a count does that goes on.
        """
        try:
            lasting = first = difference(*await self._rows(serving, spare, query))
            awaited = first[0] | first[1]
            for _ in range(LOOKS):
                if not awaited:
                    return QueryParity(id=query, same=True)
                await asyncio.sleep(LOOK_SECONDS)
                one, other = await self._rows(serving, spare, query)
                now = difference(one, other)
                lasting = (lasting[0] & now[0], lasting[1] & now[1])
                awaited = awaited - (counted(one) & counted(other)) if any(now) else Rows()
        except HandoverError as error:
            return QueryParity(id=query, reason=str(error)[:300])
        if not any(lasting) and awaited:
            return QueryParity(id=query, reason="its rows change faster than they can be compared")
        return told(query, *lasting)

    async def _settled(
        self, serving: Running, spare: Running, queries: list[str]
    ) -> list[QueryParity]:
        """The same while nothing changes."""
        leads, follows = serving, spare
        try:
            if (await self._handover.status(serving)).role != LEADER:
                leads, follows = spare, serving
            sequence = await self._handover.seal(leads, None)
        except HandoverError as error:
            return _unknown(queries, str(error))
        try:
            async with asyncio.timeout(SETTLING_SECONDS + SETTLING_SECONDS_A_QUERY * len(queries)):
                found = await self._all(serving, spare, queries)
                if _unequal(found):  # seldom: the other one had as long as the seal took
                    await self._handover.settle(follows, sequence)
                    found = await self._all(serving, spare, queries)
                return found
        except HandoverError as error:
            return _unknown(queries, str(error))
        except TimeoutError:
            return _unknown(queries, "it did not settle in time")
        finally:
            with contextlib.suppress(HandoverError):
                await self._handover.unseal(leads)

    async def _all(self, serving: Running, spare: Running, queries: list[str]) -> list[QueryParity]:
        return [await self._once(serving, spare, query) for query in queries]

    async def _once(self, serving: Running, spare: Running, query: str) -> QueryParity:
        try:
            return told(query, *difference(*await self._rows(serving, spare, query)))
        except HandoverError as error:
            return QueryParity(id=query, reason=str(error)[:300])

    async def _rows(
        self, serving: Running, spare: Running, query: str
    ) -> tuple[list[Any], list[Any]]:
        return await asyncio.gather(
            self._handover.rows(serving, query), self._handover.rows(spare, query)
        )


def _defined(components: Configuration) -> dict[str, list[Any]]:
    """What makes a query the same one, by its id."""
    return {query["id"]: [query.get(name) for name in _DEFINING] for query in components["queries"]}


def _unequal(found: list[QueryParity]) -> list[str]:
    return [each.id for each in found if each.same is not True]


def _unknown(queries: list[str], reason: str) -> list[QueryParity]:
    return [QueryParity(id=query, reason=reason[:300]) for query in queries]


def difference(serving: list[Any], other: list[Any]) -> tuple[Rows, Rows]:
    """The rows that are missing in the other slot, and those that only it has.

    Rows are compared as what they are, in any order, as often as they are there.
    """
    one, two = counted(serving), counted(other)
    return one - two, two - one


def counted(rows: list[Any]) -> Rows:
    """Each row as often as it is there."""
    return Counter(_canonical(row) for row in rows)


def told(query: str, missing: Rows, extra: Rows) -> QueryParity:
    """What a difference means for the query."""
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
