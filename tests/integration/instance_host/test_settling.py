"""The engine's own word on how far a query is does not exist; the barrier in its place is exact."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from draas.adapters.clock import SystemClock
from draas.instance_host.engine import QUEUE_CAPACITY, Engine, Run
from draas.instance_host.feed import Feed
from tests.integration.instance_host.hosts import query

IN = "MATCH (o:Order)-[:IN]->(c:City) RETURN c.name AS city, "
SALES = IN + "count(o) AS n, sum(o.price) AS total"
PLACES = IN + "o.id AS id"


def _query(query_id: str, text: str) -> dict[str, Any]:
    return query(
        query_id,
        text,
        "s",
        queryLanguage="GQL",
        middleware=[],
        outboxCapacity=1000,
        bootstrapTimeoutSecs=300,
    ) | {"sources": [{"sourceId": "s", "pipeline": []}]}


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = await Engine.start("settling", None, SystemClock())
    yield engine
    await engine.close()


def _node(node_id: str, label: str, **properties: Any) -> dict[str, Any]:
    return {"op": "update", "id": node_id, "labels": [label], "properties": properties}


async def _run(engine: Engine, query_id: str, text: str, deliver: Callable[[Any], None]) -> Run:
    return await engine.add_query(_query(query_id, text), {}, deliver, _ignore)


def _ignore(event: Any) -> None:
    """Nobody wants to know."""


async def _settle(feeds: list[Feed]) -> None:
    for feed in feeds:
        await feed.settle(QUEUE_CAPACITY)


async def test_after_settling_every_result_of_thousands_of_changes_is_there(engine: Engine) -> None:
    handed: list[dict[str, Any]] = []
    sales = await _run(engine, "sales", SALES, handed.append)
    places = await _run(engine, "places", PLACES, _ignore)
    feeds = [sales.feeds["s"], places.feeds["s"]]
    for city in range(10):
        await engine.push(feeds, _node(f"c{city}", "City", name=f"c{city}"))
    for number in range(2000):
        await engine.push(feeds, _node(f"o{number}", "Order", id=f"o{number}", price=number))
        relation = {"op": "update", "id": f"r{number}", "labels": ["IN"], "properties": {}}
        ends = {"start_id": f"o{number}", "end_id": f"c{number % 10}"}
        await engine.push(feeds, {**relation, **ends})
    await _settle(feeds)
    assert [await engine.latest(run.engine_id) for run in (sales, places)] == [2000, 2000]
    rows = await engine.results(sales.engine_id)
    assert sum(row["n"] for row in rows) == 2000
    assert sum(row["total"] for row in rows) == sum(range(2000))
    assert len(await engine.results(places.engine_id)) == 2000


async def test_settling_waits_for_a_change_that_takes_long_and_for_what_is_queued_behind_it(
    engine: Engine,
) -> None:
    """The new name of one city changes 5,000 rows, for longer than all markers take to be sent."""
    places = await _run(engine, "places", PLACES, _ignore)
    feeds = [places.feeds["s"]]
    await engine.push(feeds, _node("c", "City", name="old"))
    for number in range(5000):
        await engine.push(feeds, _node(f"o{number}", "Order", id=f"o{number}"))
        relation = {"op": "update", "id": f"r{number}", "labels": ["IN"], "properties": {}}
        await engine.push(feeds, {**relation, "start_id": f"o{number}", "end_id": "c"})
    await _settle(feeds)
    assert await engine.latest(places.engine_id) == 5000
    for name in ("b", "c", "d", "new"):
        await engine.push(feeds, _node("c", "City", name=name))
    await _settle(feeds)
    assert await engine.latest(places.engine_id) == 5004
    assert {row["city"] for row in await engine.results(places.engine_id)} == {"new"}
