"""The lead goes from one host of an instance to another, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.instance_host.handover import (
    Receiver,
    hand_over,
    has_state,
    hosts_in,
    receiving,
    shop,
    state,
)
from tests.integration.instance_host.hosts import (
    ALL,
    COUNT,
    Host,
    configuration,
    deletion,
    order,
    query,
    source,
)
from tests.support.eventually import eventually

CLIENTS = 6
CUT_OVERS = 10
CHEAP = "MATCH (o:Order) WHERE o.price < 50 RETURN o.id AS id"
DEAR = "MATCH (o:Order) WHERE o.price >= 50 RETURN o.id AS id"


class Shoppers:
    """Clients that push all the time, to each host in turn and through each of its doors.

    They keep to what the webhooks' receiver can take: a reaction drops rows above 1,000.
    """

    def __init__(self, hosts: list[Host], listeners: list[str], receiver: Receiver) -> None:
        self._receiver = receiver
        self.hosts = hosts
        self.listeners = listeners
        self.pushed: dict[str, int] = {}
        self.failed: list[Any] = []
        self._closing = False

    async def shop(self, client: int) -> None:
        number = 0
        while not self._closing:
            while 2.5 * len(self.pushed) > len(self._receiver.calls) + 300:
                await asyncio.sleep(0.01)
            order_id, price = f"o{client}-{number}", number % 100
            turn = number % (2 * len(self.hosts))
            door = self.hosts[turn // 2] if turn % 2 else None
            if door is not None:
                answer = await door.call("POST", "/sources/orders/push", order(order_id, price))
            else:
                answer = await self._to_listener(turn // 2, order(order_id, price))
            if answer[0] == 200:
                self.pushed[order_id] = price
            else:
                self.failed.append(answer)
            number += 1

    async def _to_listener(self, index: int, document: Any) -> tuple[int, Any]:
        url = f"{self.listeners[index]}/sources/orders/events"
        async with self.hosts[index].session.post(url, json=document) as response:
            return response.status, await response.json()

    def close(self) -> None:
        self._closing = True

    async def more(self, count: int) -> None:
        """Wait until so many more pushes were taken."""
        wanted = len(self.pushed) + count

        async def probe() -> bool:
            return len(self.pushed) >= wanted

        await eventually(probe)


def _listener(document: dict[str, Any]) -> str:
    return f"http://127.0.0.1:{document['sources'][0]['port']}"


def _rows(host: Host) -> list[Any]:
    """What the log reaction of a host printed."""
    return [json.loads(line.split(" ", 3)[3]) for line in host.lines("[log]")]


async def test_the_lead_goes_back_and_forth_under_load_and_nothing_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    """Both hosts have a query `some` with a text of its own, whose rows tell who delivered them."""
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        first, second = shop(receiver), shop(receiver)
        for document, text in ((first, CHEAP), (second, DEAR)):
            document["queries"].append(query("some", text))
            document["reactions"][1]["queries"].append("some")
        a = await hosts.start(first)
        before = [order(f"before-{number}", 7) for number in range(100)]
        await a.do("POST", "/sources/orders/push", {"events": before})
        shoppers = Shoppers([a], [_listener(first)], receiver)
        tasks = [asyncio.create_task(shoppers.shop(client)) for client in range(CLIENTS)]
        await shoppers.more(50)
        b = await hosts.follow(a, second)
        shoppers.hosts.append(b)
        shoppers.listeners.append(_listener(second))
        leader, follower = a, b
        for _ in range(CUT_OVERS):
            await shoppers.more(30)
            await hand_over(leader, follower)
            leader, follower = follower, leader
        await shoppers.more(30)
        shoppers.close()
        await asyncio.gather(*tasks)

        assert shoppers.failed == []
        prices = [*shoppers.pushed.values(), *([7] * 100)]
        sequence = (await state(leader))["sequence"]
        assert sequence == len(prices)
        await has_state(follower, sequence=sequence, lag=0, error=None)
        for host in (leader, follower):
            await host.has_rows("count", {"orders": len(prices), "total": float(sum(prices))})

        async def all_delivered() -> bool:
            return len(receiver.of("count")) >= len(prices)

        await eventually(all_delivered)
        assert [row["orders"] for row in receiver.of("count")] == list(range(1, len(prices) + 1))
        ids = [row["id"] for row in receiver.of("all")]
        assert sorted(ids) == sorted([*shoppers.pushed, *(f"before-{n}" for n in range(100))])
        led = {host.url: _rows(host) for host in (a, b)}
        assert sorted(row["id"] for rows in led.values() for row in rows) == sorted(ids)
        cheap = [row["id"] for row in led[a.url] if row["price"] < 50]
        dear = [row["id"] for row in led[b.url] if row["price"] >= 50]
        assert cheap
        assert dear
        assert sorted(row["id"] for row in receiver.of("some")) == sorted(cheap + dear)


async def test_a_follower_has_the_rows_of_its_leader_and_says_nothing(tmp_path: Path) -> None:
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop(receiver))
        await a.push(order("a", 1), order("b", 2), deletion("a"), order("c", 3))
        b = await hosts.follow(a, shop(receiver))
        assert await state(b) == {
            "role": "follower",
            "sequence": 4,
            "leader": a.url,
            "lag": 0,
            "error": None,
            "sources": {"orders": {"elements": 2}},
        }
        await b.push(order("d", 4))
        for host in (a, b):
            await host.has_rows("count", {"orders": 3, "total": 9.0})
        item = await b.do("GET", "/reactions/hook")
        assert (item["status"], item["held"]) == ("Running", True)
        assert "held" not in await a.do("GET", "/reactions/hook")
        _, snapshot = await b.call("GET", "/snapshot")
        parts = [*snapshot["sources"], *snapshot["queries"], *snapshot["reactions"]]
        assert {part["status"] for part in parts} == {"Running"}
        await hand_over(a, b)
        assert b.lines("[log]") == []
        logs = await b.do("GET", "/reactions/log/logs")
        assert any("held" in entry["message"] for entry in logs)
        assert [row["orders"] for row in receiver.of("count")] == [1, 2, 1, 2, 3]


async def test_sixty_queries_go_over_under_load_and_no_push_fails(tmp_path: Path) -> None:
    """Each takes its time until it is certain that it is through: the deadline grows with them."""
    queries = [query(f"q{number}", COUNT) for number in range(60)]
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop(queries=queries, reactions=[]))
        b = await hosts.follow(a, shop(queries=queries, reactions=[]))
        closing = asyncio.Event()
        pushed = 0

        async def push() -> None:
            nonlocal pushed
            while not closing.is_set():
                await a.push(order(f"o{pushed}", 1))
                pushed += 1

        pushing = asyncio.ensure_future(push())

        async def some() -> bool:
            return pushed > 20

        await eventually(some)
        await hand_over(a, b)
        closing.set()
        await pushing
        for name in ("q0", "q59"):
            await b.has_rows(name, {"orders": pushed, "total": float(pushed)})


async def test_the_rows_of_a_settled_follower_are_those_of_its_leader(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop())
        b = await hosts.follow(a, shop())
        for round_ in range(5):
            orders = [order(f"o{round_}-{number}", number) for number in range(200)]
            await a.push({"events": orders})
            sealed = await a.do("POST", "/handover/seal", {})
            await b.do("POST", "/handover/settle", sealed)
            assert sorted(map(str, await b.rows("all"))) == sorted(map(str, await a.rows("all")))
            assert await b.rows("count") == await a.rows("count")
            await a.do("POST", "/handover/unseal")
        status, answer = await a.call("POST", "/handover/settle", {"sequence": 0})
        assert (status, answer["code"]) == (409, "WRONG_ROLE")
        bodies: list[Any] = [{}, {"sequence": None}, []]
        for body in bodies:
            status, _ = await b.call("POST", "/handover/settle", body)
            assert status == 400


async def test_a_third_host_takes_over_from_the_second(tmp_path: Path) -> None:
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        leader = await hosts.start(shop(receiver))
        for number in range(3):
            await leader.push(order(f"o{number}", 1))
            follower = await hosts.follow(leader, shop(receiver))
            await hand_over(leader, follower)
            assert await leader.stop() == 0
            leader = follower
        await leader.has_rows("count", {"orders": 3, "total": 3.0})
        assert [row["orders"] for row in receiver.of("count")] == [1, 2, 3]


async def test_a_seal_waits_until_slow_webhooks_are_through(tmp_path: Path) -> None:
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop(receiver))
        receiver.slow = 0.02
        events = [order(f"o{number}", 1) for number in range(50)]
        await a.do("POST", "/sources/orders/push", {"events": events})
        await a.do("POST", "/handover/seal", {})
        assert len(receiver.calls) == 100


async def test_what_only_one_of_two_hosts_has(tmp_path: Path) -> None:
    """Sources by the same id are followed whatever their settings; others begin empty or stop."""
    async with hosts_in(tmp_path) as hosts:
        orders, old, new = source(), source("old"), source("new")
        queries = [query("count", COUNT), query("old", ALL, "old")]
        a = await hosts.start(configuration(sources=[orders, old], queries=queries))
        await a.push(order("a", 1))
        await a.push(order("x", 1), to="old")
        changed = {**source(), "timeoutMs": 7}
        queries = [query("count", COUNT), query("new", ALL, "new")]
        b = await hosts.follow(a, configuration(sources=[changed, new], queries=queries))
        await b.has_rows("count", {"orders": 1, "total": 1.0})
        await b.push(order("y", 1), to="old")
        assert len(await a.rows("old")) == 2
        status, answer = await b.call("POST", "/sources/new/push", order("n", 1))
        assert (status, answer["code"]) == (404, "SOURCE_NOT_FOUND")
        await hand_over(a, b)
        await b.push(order("n", 1), to="new")
        assert await b.rows("new") == [{"id": "n", "price": 1}]
        await has_state(a, sequence=4, error=None)


async def test_components_that_change_on_a_leader_leave_its_follower_right(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        document = shop(reactions=[])
        a = await hosts.start(document)
        await a.push(order("a", 1), order("b", 2))
        b = await hosts.follow(a, shop(reactions=[]))
        await a.do("POST", "/queries", query("cheap", CHEAP))
        await a.push(order("c", 3))
        await b.has_rows("count", {"orders": 3, "total": 6.0})
        assert len(await a.rows("cheap")) == 3
        for query_id in ("cheap", "count", "all"):
            await a.do("DELETE", f"/queries/{query_id}")
        await a.do("DELETE", "/sources/orders")
        await b.has_rows("all")
        await a.do("POST", "/sources", document["sources"][0])
        await a.do("POST", "/queries", query("count", COUNT))
        await a.push(order("d", 4))
        await b.has_rows("count", {"orders": 1, "total": 4.0})
        status, answer = await b.call("POST", "/sources", source("more"))
        assert (status, answer["code"]) == (409, "WRONG_ROLE")


async def test_a_mock_generates_where_the_lead_is_and_counts_on(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        mock = {"kind": "mock", "id": "m", "intervalMs": 5, "dataType": {"type": "counter"}}
        text = "MATCH (c:Counter) RETURN count(c) AS n, max(c.value) AS last"
        document = configuration(sources=[mock], queries=[query("n", text, "m")])
        a = await hosts.start(document)
        b = await hosts.follow(a, {**document, "port": source()["port"]})

        async def rows(host: Host, least: int) -> None:
            async def probe() -> bool:
                found = await host.rows("n")
                return bool(found) and found[0]["n"] == found[0]["last"] >= least

            await eventually(probe)

        for least, leader, follower in ((20, a, b), (40, b, a), (60, a, b)):
            await rows(leader, least)
            sequence = await hand_over(leader, follower)
            await rows(follower, sequence + 1)
            assert (await leader.do("GET", "/sources/m"))["status"] == "Running"


async def test_a_push_waits_while_nobody_leads(tmp_path: Path) -> None:
    """First the old leader takes the lead back, then its successor gets it, whoever tells."""
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop())
        b = await hosts.follow(a, shop())
        sealed = await a.do("POST", "/handover/seal", {"successor": b.url})
        waiting = asyncio.create_task(a.push(order("a", 1)))
        await asyncio.sleep(0.1)
        assert await a.rows("all") == []
        await a.do("POST", "/handover/unseal")
        await waiting
        assert (await state(a))["sequence"] == 1

        assert sealed == {"sequence": 0}
        assert await a.do("POST", "/handover/seal", {"successor": b.url}) == {"sequence": 1}
        both = asyncio.gather(a.push(order("b", 2)), b.push(order("c", 3)))
        await b.do("POST", "/handover/promote", {"sequence": 1})
        await both
        await b.has_rows("count", {"orders": 3, "total": 6.0})
        status, answer = await a.call("POST", "/handover/unseal")
        assert (status, answer["code"]) == (409, "WRONG_ROLE")


async def test_every_step_may_be_made_again_and_only_in_its_role(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop())
        b = await hosts.follow(a, shop())
        to_b, to_a = {"successor": b.url}, {"leader": a.url}

        async def refused(host: Host, path: str, body: Any) -> None:
            status, answer = await host.call("POST", f"/handover/{path}", body)
            assert (status, answer["code"]) == (409, "WRONG_ROLE"), path

        await refused(a, "follow", {"leader": b.url})
        await refused(b, "seal", {"successor": a.url})
        await refused(b, "unseal", None)
        await refused(b, "promote", {"sequence": None})
        for _ in range(2):
            assert await a.do("POST", "/handover/seal", to_b) == {"sequence": 0}
        await refused(a, "promote", {"sequence": 0})
        for _ in range(2):
            await b.do("POST", "/handover/promote", {"sequence": 0})
        for _ in range(2):
            await a.do("POST", "/handover/follow", {"leader": b.url})
        await refused(b, "follow", to_a)
        bodies: list[Any] = [{}, {"sequence": "x"}, []]
        for body in bodies:
            status, _ = await a.call("POST", "/handover/promote", body)
            assert status == 400
        for url in ("", "ftp://127.0.0.1", "http://127.0.0.1:1/path", 7):
            status, _ = await b.call("POST", "/handover/seal", {"successor": url})
            assert status == 400


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Origin": "http://evil.example"}, id="page of another site"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="browser without an origin"),
        pytest.param({"Host": "127.evil.example"}, id="name that points here"),
    ],
)
async def test_web_pages_get_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop())
        for method, path in (("GET", "/elements"), ("GET", "/changes"), ("POST", "/seal")):
            url = f"{a.url}/api/v1/handover{path}"
            async with a.session.request(method, url, json={}, headers=headers) as response:
                assert response.status == 403
        assert (await state(a))["role"] == "leader"


async def test_a_host_that_led_on_without_a_change_follows_its_successor(tmp_path: Path) -> None:
    """The successor may not have heard of that lead: it makes no difference."""
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop())
        await a.push(order("a", 1))
        b = await hosts.follow(a, shop())
        await a.do("POST", "/handover/seal", {})
        await a.do("POST", "/handover/unseal")
        await hand_over(a, b)
        await b.push(order("b", 2))
        await has_state(a, role="follower", sequence=2, lag=0, error=None)
        await hand_over(b, a)
        await hand_over(a, b)
        await b.push(order("c", 3))
        await has_state(a, role="follower", sequence=3, lag=0, error=None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"op": "insert", "id": 5}, "change.id", id="id"),
        pytest.param({"op": "insert", "id": "a", "properties": 5}, "change.properties", id="props"),
        pytest.param({"op": 5, "id": "a"}, "`change`", id="operation"),
    ],
)
async def test_a_malformed_change_of_another_host_is_refused(
    tmp_path: Path, change: dict[str, object], named: str
) -> None:
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop())
        await a.push(order("a", 1))
        body = {"source": "orders", "change": change, "hops": 0}
        status, answer = await a.call("POST", "/handover/push", body)
        assert status == 400
        assert named in answer["message"]
        await a.has_rows("count", {"orders": 1, "total": 1.0})
