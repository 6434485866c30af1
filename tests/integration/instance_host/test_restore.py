"""A host begins with the elements that the one before it exported, as in a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.instance_host.handover import (
    Hosts,
    Receiver,
    export,
    hosts_in,
    receiving,
    shop,
    state,
)
from tests.integration.instance_host.hosts import COUNT, Host, order, query, start_fails
from tests.support.eventually import eventually


async def _restarted(hosts: Hosts, host: Host, document: dict[str, Any], directory: Path) -> Host:
    """Another host that begins with what this one had, as a restart does."""
    await host.do("POST", "/handover/seal", {"ending": True})
    _, text = await host.call("GET", "/handover/elements")
    file = directory / "elements.ndjson"
    file.write_text(text)
    await host.stop()
    return await hosts.start(document, "--restore", str(file))


async def test_a_host_begins_with_what_another_exported(tmp_path: Path) -> None:
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        document = shop(receiver)
        mock = {"kind": "mock", "id": "m", "intervalMs": 20, "dataType": {"type": "counter"}}
        text = "MATCH (c:Counter) RETURN count(c) AS n, max(c.value) AS last"
        document["sources"].append(mock)
        document["queries"].append(query("n", text, "m"))
        a = await hosts.start(document)
        await a.push(order("a", 1), order("b", 2))
        await a.do("POST", "/handover/seal", {})
        lines = await export(a)
        assert len([line for line in lines if line.get("source") == "orders"]) == 2
        assert lines[-1] == {"end": len(lines) - 2}
        _, text = await a.call("GET", "/handover/elements")
        file = tmp_path / "elements.ndjson"
        file.write_text(text)
        await a.stop()
        calls = len(receiver.calls)
        b = await hosts.start(document, "--restore", str(file))
        assert not file.exists()
        assert await b.rows("count") == [{"orders": 2, "total": 3.0}]
        assert len(receiver.calls) == calls
        await b.push(order("c", 3))
        await b.has_rows("count", {"orders": 3, "total": 6.0})

        async def counted_on() -> bool:
            found = (await b.rows("n"))[0]
            return bool(found["n"] == found["last"] > len(lines) - 4)

        await eventually(counted_on)
        assert (await state(b))["role"] == "leader"


async def test_elements_keep_their_time_and_those_without_one_hold_from_now(
    tmp_path: Path,
) -> None:
    begin = datetime.now(UTC) - timedelta(milliseconds=1)
    document = shop()
    times = "MATCH (o:Order) RETURN o.id AS id, drasi.changeDateTime(o) AS at"
    document["queries"].append(query("times", times))
    lines = [
        {"sequence": 2, "terms": [["t", 0]]},
        {"source": "orders", "element": _element("old", effective_from=1_700_000_000_123)},
        {"source": "orders", "element": _element("untimed")},
        {"end": 2},
    ]
    file = tmp_path / "elements.ndjson"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    async with hosts_in(tmp_path) as hosts:
        host = await hosts.start(document, "--restore", str(file))
        at = {row["id"]: datetime.fromisoformat(row["at"]) for row in await host.rows("times")}
    assert at["old"] == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    assert begin <= at["untimed"] <= datetime.now(UTC)


def _element(element_id: str, **keys: int) -> dict[str, Any]:
    properties = {"id": element_id, "price": 1}
    return {"id": element_id, "labels": ["Order"], "properties": properties, **keys}


async def test_two_hundred_queries_begin_with_what_was_there(tmp_path: Path) -> None:
    """To be certain of each of them would take longer than a seal may."""
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        document = shop(receiver)
        document["queries"] += [query(f"q{number}", COUNT) for number in range(200)]
        a = await hosts.start(document)
        await a.push(*(order(f"o{number}", 1) for number in range(5)))
        b = await _restarted(hosts, a, document, tmp_path)
        calls = len(receiver.calls)
        assert calls == 10
        for number in (0, 199):
            await b.has_rows(f"q{number}", {"orders": 5, "total": 5.0})
        await b.push(order("more", 1))
        await b.has_rows("q199", {"orders": 6, "total": 6.0})
        await eventually(lambda: _has_calls(receiver, calls + 2))


@pytest.mark.parametrize(
    ("price", "is_certain"),
    [pytest.param(101, True, id="with a row"), pytest.param(1, False, id="without a row")],
)
async def test_a_restart_does_not_wait_for_certainty_about_many_queries(
    tmp_path: Path, price: int, is_certain: bool
) -> None:
    """A row tells that a query is through; without one only time does that nobody has."""
    async with hosts_in(tmp_path) as hosts:
        document = shop()
        numbers = range(300)
        document["queries"] += [query(f"q{number}", DEAR) for number in numbers]
        document["reactions"] += [
            {"kind": "log", "id": f"r{number}", "queries": [f"q{number}"]} for number in numbers
        ]
        a = await hosts.start(document)
        await a.push(order("a", price))
        b = await _restarted(hosts, a, document, tmp_path)
        is_unsure = "it is not certain that all queries are through" in a.output.read_text()
        assert is_unsure != is_certain
        await b.has_rows("count", {"orders": 1, "total": float(price)})
        await b.push(order("b", 101))
        await b.has_output('[r299] [q299] ADD {"id": "b"}')


async def _has_calls(receiver: Receiver, count: int) -> bool:
    return len(receiver.calls) == count


async def test_a_webhook_that_hangs_costs_no_element(tmp_path: Path) -> None:
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        document = shop(receiver)
        a = await hosts.start(document)
        receiver.slow = 30
        await a.push(order("a", 1))
        b = await _restarted(hosts, a, document, tmp_path)
        assert "reactions have not delivered all results" in a.output.read_text()
        await b.has_rows("count", {"orders": 1, "total": 1.0})


DEAR = "MATCH (o:Order) WHERE o.price > 100 RETURN o.id AS id"
HEAD = '{"sequence": 1, "terms": [["t", 0]]}\n'
ELEMENT = '{"source": "orders", "element": {"id": "a", "labels": ["Order"], "properties": {}}}\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "it ends after line 0 without a line `end`", id="empty"),
        pytest.param("no\n", "line 1: ", id="not JSON"),
        pytest.param(ELEMENT, "line 1: the first line must have", id="no header"),
        pytest.param(HEAD + ELEMENT, "it ends after line 2", id="cut off"),
        pytest.param(HEAD + '{"end": 1}\n', "line 2: 0 elements before an end", id="lines lost"),
        pytest.param(HEAD + '{"source": "x"}\n', "line 2: a line must have", id="no element"),
    ],
)
async def test_a_malformed_export_is_refused_and_kept(
    tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "elements.ndjson"
    file.write_text(text)
    output = await start_fails(tmp_path, shop(), "--restore", str(file))
    assert f"draas-instance: --restore {file}: {reason}" in output
    assert file.exists()
