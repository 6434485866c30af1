"""A query that fails while it runs harms nobody else, however much is pushed afterwards.

The engine goes on to queue changes for it, and lets no change in once that queue is full.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from draas.adapters.clock import SystemClock
from draas.instance_host.documents import complete_query
from draas.instance_host.engine import Engine, QueryError
from tests.integration.instance_host.handover import (
    hand_over,
    has_state,
    hosts_in,
    shop,
)
from tests.integration.instance_host.hosts import (
    ALL,
    COUNT,
    Document,
    Host,
    configuration,
    order,
    query,
    running,
    source,
)
from tests.support.eventually import eventually

PANICS = {"dispatchMode": "Broadcast", "dispatchBufferCapacity": 0}
"""The engine makes a queue without a place; the host refuses it before."""
FAILS = "MATCH (o:Order) WHERE o.price < 0 RETURN toInteger(o.id) AS number"
"""No such function in GQL: it fails at the first order below zero."""
REASON = "Query 'bad' failed to process source change: UnknownFunction(\"toInteger\")"
MANY = 4000


def _orders(first: int, count: int, price: int = 1) -> Document:
    return {"events": [order(f"o{number}", price) for number in range(first, first + count)]}


async def _push_many(host: Host, first: int, count: int = MANY) -> None:
    for start in range(first, first + count, 500):
        await host.do("POST", "/sources/orders/push", _orders(start, 500))


async def _has_failed(host: Host, query_id: str = "bad") -> None:
    async def probe() -> bool:
        item = await host.do("GET", f"/queries/{query_id}")
        reason = REASON.replace("bad", query_id)
        return bool((item["status"], item.get("error_message")) == ("Error", reason))

    await eventually(probe)


def _counted(host: Host) -> list[int]:
    """What the log reaction printed of the query `count`."""
    return [json.loads(line.split(" ", 3)[3])["after"]["orders"] for line in host.lines("[log]")]


async def test_of_a_query_at_which_the_engine_panics_nothing_stays() -> None:
    engine = await Engine.start("panics", None, SystemClock())
    try:
        bad = complete_query(query("bad", ALL, **PANICS))
        with pytest.raises(QueryError, match="panicked"):
            await engine.add_query(bad, {}, lambda result: None, lambda reason: None)
        assert await engine.query_statuses() == {}
        good = complete_query(query("good", ALL))
        run = await engine.add_query(good, {}, lambda result: None, lambda reason: None)
        assert await engine.query_statuses() == {run.engine_id: "Running"}
    finally:
        await engine.close()


async def test_pushes_and_the_other_queries_go_on_and_the_failed_one_can_be_mended(
    tmp_path: Path,
) -> None:
    document = configuration(
        sources=[source()],
        queries=[query("count", COUNT), query("bad", FAILS), query("all", ALL)],
        reactions=[{"kind": "log", "id": "log", "queries": ["count"]}],
        logLevel="error",
    )
    async with running(tmp_path, document) as host:
        await host.do("POST", "/sources/orders/push", _orders(0, 100))
        await host.push(order("below", -1))
        await _push_many(host, 100)
        await _has_failed(host)
        _, snapshot = await host.call("GET", "/snapshot")
        statuses = {each["id"]: each["status"] for each in snapshot["queries"]}
        assert statuses == {"count": "Running", "bad": "Error", "all": "Running"}
        events = await host.do("GET", "/queries/bad/events")
        assert (events[-1]["status"], events[-1]["message"]) == ("Error", REASON)
        assert (await host.call("GET", "/queries/bad/results"))[0] == 400

        await host.do("DELETE", "/queries/bad")
        await _push_many(host, MANY + 100)
        await host.do("POST", "/queries", query("bad", ALL))
        await host.push(order("last", 1))
        total = 2 * MANY + 102
        await host.has_rows("count", {"orders": total, "total": float(total - 2)})

        async def all_there() -> bool:
            return len(await host.rows("bad")) == len(await host.rows("all")) == total

        await eventually(all_there)
        assert (await host.do("GET", "/queries/bad"))["status"] == "Running"
        assert _counted(host)[1:] == list(range(2, total + 1))


async def test_queries_that_fail_again_or_on_the_data_that_is_there(tmp_path: Path) -> None:
    """One of two sources is enough to fail, and its other source goes on as well."""
    both = [source(), source("more")]
    text = "MATCH (o:Order) WHERE o.price < 0 RETURN toInteger(o.id) AS number"
    document = configuration(
        sources=both,
        queries=[query("count", COUNT), query("bad", text, "orders", "more")],
        logLevel="error",
    )
    async with running(tmp_path, document) as host:
        await _push_many(host, 0, 500)
        await host.push(order("below", -1), to="more")
        await _has_failed(host)
        await host.do("POST", "/queries/bad/start")
        await _has_failed(host)
        await host.do("POST", "/queries", query("new", text, "more"))
        await _has_failed(host, "new")
        await _push_many(host, 500)
        for start in range(0, MANY, 500):
            await host.do("POST", "/sources/more/push", _orders(start, 500))
        await host.do("POST", "/queries/bad/stop")
        assert (await host.do("GET", "/queries/bad"))["status"] == "Stopped"
        for query_id in ("bad", "new"):
            await host.do("DELETE", f"/queries/{query_id}")
        await host.do("DELETE", "/sources/more")
        await host.push(order("last", 1))
        total = MANY + 501
        await host.has_rows("count", {"orders": total, "total": float(total)})


async def test_a_query_fails_while_its_queue_is_full(tmp_path: Path) -> None:
    """Each new name of the city takes it long: pushes wait for it in the moment it fails."""
    bad = (
        "MATCH (o:Order)-[:IN]->(c:City) RETURN o.id AS id, "
        "CASE WHEN c.name = 'x' THEN toInteger(c.name) ELSE c.name END AS city"
    )
    document = configuration(
        sources=[source()],
        queries=[
            query("count", COUNT),
            query("bad", bad, priorityQueueCapacity=1),
        ],
        logLevel="error",
    )

    def city(name: str) -> Document:
        element = {"type": "node", "id": "c", "labels": ["City"], "properties": {"name": name}}
        return {"operation": "update", "element": element}

    def put(number: int) -> Document:
        ends = {"from": f"o{number}", "to": "c"}
        relation = {"type": "relation", "id": f"r{number}", "labels": ["IN"], **ends}
        return {"operation": "insert", "element": relation}

    async with running(tmp_path, document) as host:
        await host.push(city("a"))
        await _push_many(host, 0, 500)
        await host.do(
            "POST", "/sources/orders/push", {"events": [put(number) for number in range(500)]}
        )
        renamed = [city("a" if number % 2 else "b") for number in range(400)]
        await host.do("POST", "/sources/orders/push", {"events": [*renamed, city("x")]})
        await _push_many(host, 500)
        await _has_failed(host)
        total = MANY + 500
        await host.has_rows("count", {"orders": total, "total": float(total)})


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_lead_goes_on_to_another_host_in_spite_of_failed_queries(
    tmp_path: Path, when: str
) -> None:
    """They fail in the leader before its follower loads what made them fail, or in both later."""
    async with hosts_in(tmp_path) as hosts:
        documents = [shop(logLevel="error") for _ in range(2)]
        for document in documents:
            document["queries"].append(query("bad", FAILS))
        a = await hosts.start(documents[0])
        if when == "before":
            await a.push(order("below", -1))
        b = await hosts.follow(a, documents[1])
        if when == "after":
            await a.push(order("below", -1))
        leader, follower = a, b
        for number in range(4):
            pushing = asyncio.ensure_future(_push_many(leader, number * 1000, 1000))
            await asyncio.sleep(0)
            await hand_over(leader, follower)
            await pushing
            leader, follower = follower, leader
        for host in (a, b):
            await has_state(host, lag=0, error=None)
            await host.has_rows("count", {"orders": 4001, "total": 3999.0})
            await _has_failed(host)
