"""The engine's own word on how far a query is does not exist; the barrier in its place is exact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from draas.instance_host.engine import QUEUE_CAPACITY, Engine
from tests.integration.instance_host.hosts import (
    COUNT,
    configuration,
    order,
    query,
    running,
    source,
)

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
    engine = await Engine.start("settling", None)
    yield engine
    await engine.close()


def _node(node_id: str, label: str, **properties: Any) -> dict[str, Any]:
    return {"op": "update", "id": node_id, "labels": [label], "properties": properties}


async def test_after_settling_every_result_of_thousands_of_changes_is_there(engine: Engine) -> None:
    source_id = await engine.add_source("s")
    handed: list[dict[str, Any]] = []
    sales = await engine.add_query(_query("sales", SALES), {"s": source_id}, handed.append)
    places = await engine.add_query(_query("places", PLACES), {"s": source_id}, lambda event: None)
    for city in range(10):
        await engine.push(source_id, _node(f"c{city}", "City", name=f"c{city}"))
    for number in range(2000):
        await engine.push(source_id, _node(f"o{number}", "Order", id=f"o{number}", price=number))
        relation = {"op": "update", "id": f"r{number}", "labels": ["IN"], "properties": {}}
        ends = {"start_id": f"o{number}", "end_id": f"c{number % 10}"}
        await engine.push(source_id, {**relation, **ends})
    await engine.settle(source_id, QUEUE_CAPACITY)
    assert (await engine.latest(sales), await engine.latest(places)) == (2000, 2000)
    rows = await engine.results(sales)
    assert sum(row["n"] for row in rows) == 2000
    assert sum(row["total"] for row in rows) == sum(range(2000))
    assert len(await engine.results(places)) == 2000


async def test_settling_waits_for_a_change_that_takes_long_and_for_what_is_queued_behind_it(
    engine: Engine,
) -> None:
    """The new name of one city changes 5,000 rows, for longer than all markers take to be sent."""
    source_id = await engine.add_source("s")
    places = await engine.add_query(_query("places", PLACES), {"s": source_id}, lambda event: None)
    await engine.push(source_id, _node("c", "City", name="old"))
    for number in range(5000):
        await engine.push(source_id, _node(f"o{number}", "Order", id=f"o{number}"))
        relation = {"op": "update", "id": f"r{number}", "labels": ["IN"], "properties": {}}
        await engine.push(source_id, {**relation, "start_id": f"o{number}", "end_id": "c"})
    await engine.settle(source_id, QUEUE_CAPACITY)
    assert await engine.latest(places) == 5000
    for name in ("b", "c", "d", "new"):
        await engine.push(source_id, _node("c", "City", name=name))
    await engine.settle(source_id, QUEUE_CAPACITY)
    assert await engine.latest(places) == 5004
    assert {row["city"] for row in await engine.results(places)} == {"new"}


async def test_a_query_that_failed_does_not_keep_the_others_from_settling(tmp_path: Path) -> None:
    """The engine goes on to queue changes for it, and stops taking any when that queue is full."""
    bad = "MATCH (o:Order) RETURN toInteger(o.id) AS number"
    document = configuration(
        sources=[source()], queries=[query("count", COUNT), query("bad", bad)], logLevel="error"
    )
    async with running(tmp_path, document) as host:
        events = [order(f"o{number}", 1) for number in range(200)]
        await host.do("POST", "/sources/orders/push", {"events": events})
        for _ in range(2):
            assert await host.do("POST", "/handover/seal", {}) == {"sequence": 200}
            assert await host.rows("count") == [{"orders": 200, "total": 200.0}]
            await host.do("POST", "/handover/unseal")
        item = await host.do("GET", "/queries/bad")
        assert (item["status"], item["error_message"]) == (
            "Error",
            "the engine failed to process a change",
        )
        await host.push(order("one more", 1))
        await host.has_rows("count", {"orders": 201, "total": 201.0})
