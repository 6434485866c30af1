"""Each hazard of the engine, as what a user would see if the host did not guard against it."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from tests.integration.instance_host.hosts import (
    ALL,
    COUNT,
    Host,
    configuration,
    deletion,
    order,
    query,
    running,
    source,
)
from tests.support.eventually import eventually


def _shop() -> dict[str, object]:
    return configuration(
        sources=[source()],
        queries=[query("all", ALL), query("count", COUNT)],
        reactions=[{"kind": "log", "id": "log", "queries": ["all"]}],
    )


async def _reacted(host: Host, count: int) -> list[str]:
    async def probe() -> bool:
        return len(host.lines("[log]")) >= count

    await eventually(probe)
    return host.lines("[log]")


CHANGED = "MATCH (n:{}) RETURN count(n) AS n, max(drasi.changeDateTime(n)) AS at"


async def _changed_at(host: Host, query_id: str, count: int) -> datetime:
    async def probe() -> datetime:
        row = (await host.rows(query_id))[0]
        assert row["n"] >= count
        return datetime.fromisoformat(row["at"])

    return await eventually(probe)


async def test_a_change_without_a_time_holds_from_now(tmp_path: Path) -> None:
    document = configuration(
        sources=[source(), {"kind": "mock", "id": "ticks", "dataType": {"type": "counter"}}],
        queries=[
            query("changed", CHANGED.format("Order")),
            query("ticked", CHANGED.format("Counter"), "ticks"),
        ],
    )
    begin = datetime.now(UTC) - timedelta(milliseconds=1)
    async with running(tmp_path, document) as host:
        assert begin <= await _changed_at(host, "ticked", 1) <= datetime.now(UTC)
        early = {**order("a", 1), "timestamp": 1_700_000_000_123_000_000}
        await host.push(early)
        assert await _changed_at(host, "changed", 1) == datetime(
            2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC
        )
        await host.push(order("b", 2))
        assert begin <= (at := await _changed_at(host, "changed", 2)) <= datetime.now(UTC)
        await host.do("POST", "/queries/changed/stop")
        await host.do("POST", "/queries/changed/start")
        assert await _changed_at(host, "changed", 2) == at


async def test_a_stopped_source_refuses_pushes_and_its_queries_hear_it_after_a_start(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1))
        await host.do("POST", "/sources/orders/stop")
        status, answer = await host.call("POST", "/sources/orders/push", order("b", 2))
        assert (status, answer["code"]) == (400, "INVALID_REQUEST")
        await host.do("POST", "/sources/orders/start")
        await host.push(order("c", 3))
        await host.has_rows("all", {"id": "a", "price": 1}, {"id": "c", "price": 3})
        assert [line.split()[2] for line in await _reacted(host, 2)] == ["ADD", "ADD"]


async def test_a_query_text_may_end_its_lines_as_on_windows(tmp_path: Path) -> None:
    text = ALL.replace(" RETURN", "\r\nRETURN") + "\r\n"
    document = configuration(sources=[source()], queries=[query("all", text)])
    async with running(tmp_path, document) as host:
        await host.push(order("a", 1))
        await host.has_rows("all", {"id": "a", "price": 1})


async def test_a_query_with_a_new_text_serves_its_reaction(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1))
        await _reacted(host, 1)
        await host.do("DELETE", "/reactions/log")
        await host.do("DELETE", "/queries/all")
        dear = "MATCH (o:Order) WHERE o.price > 10 RETURN o.id AS id"
        await host.do("POST", "/queries", query("all", dear))
        await host.do("POST", "/reactions", {"kind": "log", "id": "log", "queries": ["all"]})
        await host.push(order("b", 2), order("c", 30))
        await host.has_rows("all", {"id": "c"})
        assert (await _reacted(host, 2))[1] == '[log] [all] ADD {"id": "c"}'


async def test_an_unchanged_query_added_again_misses_no_event(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1), order("b", 2))
        await _reacted(host, 2)
        for _ in range(2):
            await host.do("DELETE", "/reactions/log")
            await host.do("DELETE", "/queries/all")
            await host.do("POST", "/queries", query("all", ALL))
            reaction = {"kind": "log", "id": "log", "queries": ["all"]}
            await host.do("POST", "/reactions", reaction)
        await host.push(order("c", 3), order("d", 4))
        lines = await _reacted(host, 4)
        assert [line.split('"')[3] for line in lines] == ["a", "b", "c", "d"]


async def test_a_reaction_added_again_hears_the_next_result(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        for number in range(3):
            await host.push(order(f"o{number}", number))
            await _reacted(host, number + 1)
            await host.do("DELETE", "/reactions/log")
            reaction = {"kind": "log", "id": "log", "queries": ["all"]}
            await host.do("POST", "/reactions", reaction)


async def test_inserting_a_known_element_counts_it_once(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1), order("a", 5), order("b", 2))
        await host.has_rows("count", {"orders": 2, "total": 7.0})
        operations = [line.split()[2] for line in await _reacted(host, 3)]
        assert operations == ["ADD", "UPDATE", "ADD"]


async def test_a_batch_is_applied_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    async with running(tmp_path, configuration(sources=[source()])) as host:
        for bad in ({"operation": "upsert"}, order("x", 10**400)):
            batch = {"events": [order("a", 1), bad]}
            status, answer = await host.call("POST", "/sources/orders/push", batch)
            assert (status, answer["code"]) == (400, "INVALID_REQUEST")
        await host.do(
            "POST", "/sources/orders/push", {"events": [order("b", 1), order("c", 2**70)]}
        )
        await host.do("POST", "/queries", query("all", ALL))
        await host.has_rows("all", {"id": "b", "price": 1}, {"id": "c", "price": float(2**70)})


async def test_a_deleted_element_can_be_inserted_again(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1), deletion("a"), order("a", 3))
        await host.has_rows("count", {"orders": 1, "total": 3.0})


async def test_a_new_query_gets_the_existing_data_and_the_others_notice_nothing(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1), order("b", 2), deletion("b"), order("c", 3))
        await _reacted(host, 4)
        await host.do("POST", "/queries", query("late", COUNT))
        await host.has_rows("late", {"orders": 2, "total": 4.0})
        await host.push(order("d", 4))
        await host.has_rows("late", {"orders": 3, "total": 8.0})
        await host.has_rows("count", {"orders": 3, "total": 8.0})
        assert len(await _reacted(host, 5)) == 5


MAPPED = {
    "selector": "$",
    "op": "Insert",
    "label": "Price",
    "id": "$.id",
    "properties": {"price": "$.price"},
}


async def test_middleware_that_maps_inserts_sees_what_is_replayed(tmp_path: Path) -> None:
    prices = query("prices", "MATCH (p:Price) RETURN p.price AS price")
    prices["middleware"] = [{"kind": "map", "name": "m", "config": {"Order": {"insert": [MAPPED]}}}]
    prices["sources"][0]["pipeline"] = ["m"]
    document = configuration(sources=[source()], queries=[prices])
    async with running(tmp_path, document) as host:
        await host.push(order("a", 1))
        await host.has_rows("prices", {"price": 1})
        await host.do("POST", "/queries/prices/stop")
        await host.do("POST", "/queries/prices/start")
        await host.has_rows("prices", {"price": 1})
        await host.do("POST", "/queries", {**prices, "id": "late"})
        await host.has_rows("late", {"price": 1})


async def test_bootstrap_can_be_switched_off(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1))
        await host.do("POST", "/queries", query("late", ALL, enableBootstrap=False))
        await host.push(order("b", 2))
        await host.has_rows("late", {"id": "b", "price": 2})


async def test_relations_are_replayed_too(tmp_path: Path) -> None:
    bought = "MATCH (c:Customer)-[:BOUGHT]->(o:Order) RETURN c.name AS name, o.id AS id"
    customer = {"type": "node", "id": "c", "labels": ["Customer"], "properties": {"name": "Ann"}}
    relation = {"type": "relation", "id": "r", "labels": ["BOUGHT"], "from": "c", "to": "a"}
    async with running(tmp_path, _shop()) as host:
        await host.push(
            order("a", 1),
            {"operation": "insert", "element": customer},
            {"operation": "insert", "element": relation},
        )
        await host.do("POST", "/queries", query("bought", bought))
        await host.has_rows("bought", {"name": "Ann", "id": "a"})


async def test_a_restarted_query_knows_what_changed_meanwhile(tmp_path: Path) -> None:
    async with running(tmp_path, _shop()) as host:
        await host.push(order("a", 1), order("b", 2), order("c", 3))
        await _reacted(host, 3)
        await host.do("POST", "/queries/all/stop")
        assert (await host.call("GET", "/queries/all/results"))[0] == 400
        await host.push(deletion("a"), order("b", 20, "update"), order("d", 4))
        await host.do("POST", "/queries/all/start")
        await host.has_rows(
            "all",
            {"id": "b", "price": 20},
            {"id": "c", "price": 3},
            {"id": "d", "price": 4},
        )
        await host.push(order("e", 5))
        lines = [line.removeprefix("[log] [all] ") for line in await _reacted(host, 7)]
        again = ['ADD {"id": "b", "price": 20}', 'ADD {"id": "c", "price": 3}']
        assert lines[3:] == [*again, 'ADD {"id": "d", "price": 4}', 'ADD {"id": "e", "price": 5}']


async def test_an_unreachable_receiver_harms_neither_engine_nor_reaction(tmp_path: Path) -> None:
    document = _shop()
    receiver = {"kind": "http", "id": "hook", "queries": ["all"], "baseUrl": "http://127.0.0.1:1"}
    document["reactions"] = [receiver, {"kind": "log", "id": "log", "queries": ["all"]}]
    async with running(tmp_path, document) as host:
        await host.push(*(order(f"o{number}", number) for number in range(20)))
        assert len(await _reacted(host, 20)) == 20
        item = await host.do("GET", "/reactions/hook")
        assert item["status"] == "Running"

        async def noted() -> bool:
            entries = await host.do("GET", "/reactions/hook/logs")
            return any(entry["level"] == "Warn" for entry in entries)

        await eventually(noted)


async def test_a_raising_reaction_ends_neither_itself_nor_the_others(tmp_path: Path) -> None:
    """The log reaction raises for every row, because nobody reads the process's stdout."""
    async with running(tmp_path, _shop(), NO_READER="1", RUST_LOG="off") as host:
        url = f"{host.url}/api/v1/queries/all/attach"
        async with host.session.get(url) as stream:
            await stream.content.readuntil(b"\n\n")
            for number in range(3):
                await host.push(order(f"o{number}", number))
                event = json.loads((await stream.content.readuntil(b"\n\n"))[6:])
                assert event["query_id"] == "all"
                assert event["metadata"]["source_id"] == "orders"
                assert event["results"][0]["data"]["id"] == f"o{number}"
        logs = await host.do("GET", "/queries/all/logs")
        assert "a consumer failed: BrokenPipeError" in [entry["message"] for entry in logs]
        assert (await host.do("GET", "/reactions/log"))["status"] == "Running"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_host_well_even_with_open_streams(
    tmp_path: Path, number: signal.Signals
) -> None:
    document = _shop()
    mock = {"kind": "mock", "id": "ticks", "intervalMs": 5, "dataType": {"type": "counter"}}
    document["sources"] = [source(), mock]
    async with running(tmp_path, document) as host:
        url = f"{host.url}/api/v1/queries/all/attach"
        async with host.session.get(url, timeout=aiohttp.ClientTimeout(total=30)) as stream:
            assert await stream.content.readline() == b": connected\n"
            await host.push(order("a", 1))
            assert await host.stop(number) == 0


async def test_ids_may_be_shared_between_kinds_and_with_the_instance(tmp_path: Path) -> None:
    document = configuration(
        sources=[source("shop")],
        queries=[query("shop", ALL, "shop")],
        reactions=[{"kind": "log", "id": "shop", "queries": ["shop"]}],
    )
    async with running(tmp_path, document) as host:
        await host.push(order("a", 1), to="shop")
        await host.has_output('[shop] [shop] ADD {"id": "a", "price": 1}')
