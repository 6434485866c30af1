"""The same new configuration over nine real instances in three groups, in waves."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.world import World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(240)
GROUPS = ("north", "south", "west")
NAMES = [f"{group}-{number}" for number in range(3) for group in GROUPS]
"""The first of each group come first."""
TEXT = "MATCH (o:Order) WHERE o.price > 5 RETURN o.id AS id"


def rollout(healthy: int) -> tuple[str, ...]:
    return (
        "--Rollout:MaxUnavailable=1",
        "--Rollout:GroupBy=region",
        f"--Rollout:MinimumHealthyTime=00:00:{healthy:02}",
        "--Reconciliation:MaxConcurrentReconciliations=9",
        "--Reconciliation:RestartDelay=00:00:00",
        "--Breaker:Enabled=false",
    )


async def fleet(made: World) -> None:
    """Nine that run, each with an http source at a port of its own."""
    for name in NAMES:
        query = {
            "id": "q",
            "query": "MATCH (o:Order) RETURN o.id AS id",
            "queryLanguage": "Cypher",
            "sources": [{"sourceId": "orders"}],
        }
        await made.create(
            name,
            labels={"region": name.partition("-")[0], "team": "shop"},
            sources=[{"id": "orders", "kind": "http", "host": "127.0.0.1", "port": free_port()}],
            queries=[query],
        )


async def configure(made: World, name: str, **source: Any) -> None:
    operations = [{"op": "replace", "path": "/queries/0/query", "value": TEXT}]
    operations += [
        {"op": "replace", "path": f"/sources/0/{member}", "value": value}
        for member, value in source.items()
    ]
    await made.patch(name, *operations)


async def all_settled(made: World) -> bool:
    listed = await made.ask("GET", "/api/servers/instances", None, 200)
    return all(
        each["appliedDigest"] == each["desiredDigest"] and each["status"] == "Running"
        for each in listed
    )


class Down(NamedTuple):
    """From when an instance did not run until it ran again."""

    name: str
    since: datetime
    until: datetime

    @property
    def group(self) -> str:
        return self.name.partition("-")[0]


async def outages(made: World, cursor: str) -> list[Down]:
    """What the control plane wrote down since then."""
    down: dict[str, datetime] = {}
    found = []
    for change in (await made.changes(cursor))["changes"]:
        at, name = datetime.fromisoformat(change["at"]), change["instanceId"]
        if change["newStatus"] == "Stopping":
            down[name] = at
        elif change["newStatus"] == "Running":
            found.append(Down(name, down.pop(name), at))
    return found


async def test_waves_keep_the_limit_of_each_group_and_wait_for_proof(tmp_path: Path) -> None:
    healthy = timedelta(seconds=3)
    async with world(tmp_path, settings=rollout(healthy.seconds)) as made:
        await fleet(made)
        cursor = (await made.changes())["cursor"]
        for name in NAMES:
            await configure(made, name)
        await eventually(lambda: all_settled(made), within=60)
        found = await outages(made, cursor)
    assert sorted(each.name for each in found) == sorted(NAMES), "each restarted once"
    for each in found:
        unavailable = [
            other
            for other in found
            if other is not each and other.since <= each.since < other.until + healthy
        ]
        assert each.group not in {other.group for other in unavailable}
        assert len(unavailable) <= len(GROUPS) - 1
    for group in GROUPS:
        own = [each for each in found if each.group == group]
        for one, two in pairwise(sorted(own, key=lambda each: each.since)):
            assert two.since - one.until >= healthy, "the next only once the last is proven"


async def test_what_fails_on_two_is_taken_back_and_stopped_everywhere(tmp_path: Path) -> None:
    async with world(tmp_path, settings=rollout(10)) as made:
        await fleet(made)
        processes = {name: await made.process_of(name) for name in NAMES}
        with ExitStack() as stack:
            for name in NAMES[:3]:  # The first of each group: one good, two whose port is taken.
                port = {} if name == NAMES[0] else {"port": taken_port(stack)}
                await configure(made, name, **port)

            async def taken_back() -> bool:
                outcomes = [await made.outcomes(name) for name in NAMES[:3]]
                good = ["started", "succeeded"]
                bad = ["started", "rolled-back"]
                return outcomes == [[*good, *good, "held"], bad, bad]

            await eventually(taken_back, within=40)
            for name in NAMES[3:]:
                await configure(made, name)

            async def all_held() -> bool:
                return {await blocked(made, name) for name in NAMES[3:]} == {"fleet-quarantine"}

            await eventually(all_held, within=20)
            back = (await made.audit(NAMES[0]))[3]
            assert "its roll-out is stopped: it failed on 2 instances" in back["cause"]
            assert (await made.instance(NAMES[0]))["appliedGeneration"] == 1
            for name in NAMES[3:]:
                assert await made.process_of(name) == processes[name], "never tried"
            [found] = (await made.ask_daemon("/api/reconciliation/rollouts"))["rollouts"]
            assert (found["failed"], found["stopped"]) == (2, True)
        said = await made.draas("release", found["digest"])
        assert said == f"{found['digest']} released: {NAMES[1]}, {NAMES[2]}\n"
        await eventually(lambda: all_settled(made), within=90)


def taken_port(stack: ExitStack) -> int:
    """A port at which somebody else listens, until the stack unwinds."""
    taken = stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port: int = taken.getsockname()[1]
    return port


async def blocked(made: World, name: str) -> str:
    gates = (await made.ask_daemon(f"/api/reconciliation/instances/{name}"))["plan"]["gates"]
    return next((each["name"] for each in gates if not each["passed"]), "")
