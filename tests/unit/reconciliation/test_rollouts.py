"""The same new configuration over many instances: in waves, stopped, taken back, released."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from draas.decide.rollout import limit, shared_digest
from draas.model.configuration import digest
from draas.reconciliation.daemon import Daemon
from draas.testing import virtual_time
from tests.integration.reconciliation.test_management import managed
from tests.unit.reconciliation.scenarios import runs, simulated
from tests.unit.reconciliation.simulation import World, configuration

NAMES = [f"i{number}" for number in range(9)]
TEXT = "MATCH (m) RETURN m"
HEALTHY = 20.0


def new(name: str) -> dict[str, Any]:
    """The same for all but the port, as each instance has its own."""
    return configuration(8100 + NAMES.index(name), TEXT)


def old(name: str) -> dict[str, Any]:
    return configuration(8100 + NAMES.index(name))


def fleet(max_unavailable: str = "", group_by: str = "", **options: Any) -> World:
    world = World(max_concurrent_reconciliations=9, **options)
    rollout = replace(
        world.settings.rollout,
        max_unavailable=max_unavailable,
        group_by=group_by,
        minimum_healthy_time=timedelta(seconds=HEALTHY),
    )
    breaker = replace(world.settings.breaker, enabled=False)
    world.settings = replace(world.settings, rollout=rollout, breaker=breaker)
    return world


async def configure_all(world: World) -> None:
    for name in NAMES:
        await world.control_plane.configure(name, new(name))


def blocked(daemon: Daemon, name: str) -> str | None:
    plan = daemon.fleet.plans.get(name)
    gate = plan.blocked_by if plan else None
    return gate.name if gate else None


@simulated
async def test_no_more_than_a_wave_are_changed_or_unproven_at_once() -> None:
    world = fleet("3")
    await world.running(*NAMES)
    async with world.daemon():
        await asyncio.sleep(1)
        await configure_all(world)
        began: dict[str, float] = {}
        proven: dict[str, float] = {}
        while len(proven) < len(NAMES):
            now = world.clock.monotonic()
            for name in NAMES:
                server = world.control_plane.servers[name]
                if not runs(world, name, old(name)):
                    began.setdefault(name, now)
                if runs(world, name, new(name)) and now - server.started_at >= HEALTHY:
                    proven.setdefault(name, now)
            assert len(began.keys() - proven.keys()) <= 3
            assert now < 600
            await asyncio.sleep(0.1)
    assert world.clock.monotonic() >= 3 * HEALTHY


@pytest.mark.parametrize("most", ["1", "34%"])
def test_a_limit_counts_in_each_group(most: str) -> None:
    virtual_time.run(one_at_a_time_in_each_group(most))


async def one_at_a_time_in_each_group(most: str) -> None:
    world = fleet(most, group_by="region")
    groups = {name: ("north", "south", "")[number % 3] for number, name in enumerate(NAMES)}
    await world.running(*NAMES)
    for name, group in groups.items():
        world.control_plane.servers[name].labels = {"region": group} if group else {}
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        await configure_all(world)
        proven: set[str] = set()
        widest = 0
        while len(proven) < len(NAMES):
            busy = []
            for name in NAMES:
                age = world.clock.monotonic() - world.control_plane.servers[name].started_at
                if runs(world, name, new(name)) and age >= HEALTHY:
                    proven.add(name)
                elif not runs(world, name, old(name)):
                    busy.append(groups[name])
            assert len(busy) == len(set(busy)), "one at a time in each group"
            if len(busy) == 3 > widest:
                [found] = (await client.get("/api/reconciliation/rollouts")).json()["rollouts"]
                assert found["groups"] == [
                    {"group": group, "busy": 1, "limit": 1} for group in ("", "north", "south")
                ]
            widest = max(widest, len(busy))
            await asyncio.sleep(0.1)
        assert widest == 3, "groups do not wait for each other"


@simulated
async def test_what_failed_on_two_is_not_tried_on_the_others_until_it_is_released() -> None:
    world = fleet("2")
    await world.running(*NAMES)
    for name in NAMES:
        world.control_plane.failing[digest(new(name))] = "a query that no engine takes"
    async with managed(world) as (client, daemon):
        await asyncio.sleep(1)
        await configure_all(world)
        await asyncio.sleep(300)
        touched = [name for name in NAMES if world.control_plane.servers[name].starts]
        assert len(touched) == 2
        assert all(runs(world, name, old(name)) for name in NAMES)
        others = [name for name in NAMES if name not in touched]
        assert {blocked(daemon, name) for name in others} == {"fleet-quarantine"}
        [found] = (await client.get("/api/reconciliation/rollouts")).json()["rollouts"]
        assert (found["failed"], found["stopped"]) == (2, True)
        assert found["groups"] == [{"group": "", "busy": 0, "limit": 2}]
        assert found["digest"] == shared_digest(new("i0"))
        world.control_plane.failing.clear()
        path = f"/api/reconciliation/rollouts/{found['digest']}/release"
        assert (await client.post(path)).json()["released"] == sorted(touched)
        await world.until(lambda: all(runs(world, n, new(n)) for n in NAMES), within=600)


@simulated
async def test_a_stopped_roll_out_takes_its_wave_back() -> None:
    world = fleet("4")
    await world.running(*NAMES)
    world.control_plane.failing |= {digest(new(name)): "no" for name in ("i1", "i2")}
    async with world.daemon() as daemon:
        await asyncio.sleep(1)
        await configure_all(world)
        await world.until(lambda: any(runs(world, n, new(n)) for n in NAMES), within=60)
        await asyncio.sleep(120)
        assert all(runs(world, name, old(name)) for name in NAMES)
        assert blocked(daemon, "i0") == "fleet-quarantine"
        log = list(world.control_plane.log)
        await asyncio.sleep(600)
        assert world.control_plane.log == log, "nobody tries again"


@simulated
async def test_what_is_proven_stays() -> None:
    world = fleet("1")
    await world.running(*NAMES)
    world.control_plane.failing |= {digest(new(name)): "no" for name in NAMES[3:]}
    async with world.daemon():
        await asyncio.sleep(1)
        for name in NAMES[:3]:
            await world.control_plane.configure(name, new(name))
        await asyncio.sleep(3 * HEALTHY + 30)
        for name in NAMES[3:]:
            await world.control_plane.configure(name, new(name))
        await asyncio.sleep(200)
    assert all(runs(world, name, new(name)) for name in NAMES[:3])
    assert all(runs(world, name, old(name)) for name in NAMES[3:])


@simulated
async def test_a_port_of_ones_own_concerns_nobody_else() -> None:
    world = fleet("1")
    await world.running("i0", "i1", "i2")
    for name in ("i0", "i1"):
        document = configuration(1024 + NAMES.index(name))
        world.control_plane.failing[digest(document)] = "the port is taken"
        await world.control_plane.configure(name, document)
    async with world.daemon():
        await asyncio.sleep(60)
        await world.control_plane.configure("i2", configuration(9090))
        await world.until(lambda: runs(world, "i2", configuration(9090)), within=10)


ORDERS = {"id": "orders", "kind": "http", "host": "0.0.0.0", "port": 9000, "endpoint": "/in"}
DATABASE = {"id": "db", "kind": "postgres", "host": "db1", "slotName": "a", "publicationName": "p"}
LIVE = {"id": "live", "kind": "sse", "queries": [], "port": 9001}


@pytest.mark.parametrize(
    ("what", "part", "component", "other", "same"),
    [
        ("an http source's port", "sources", ORDERS, {"port": 9002}, True),
        ("an http source's host", "sources", ORDERS, {"host": "127.0.0.1"}, True),
        ("an http source's path", "sources", ORDERS, {"endpoint": "/out"}, False),
        ("an sse reaction's port", "reactions", LIVE, {"port": 9002}, True),
        ("names at a database", "sources", DATABASE, {"slotName": "b"}, True),
        ("the database itself", "sources", DATABASE, {"host": "db2"}, False),
    ],
)
def test_what_is_an_instances_own(
    what: str, part: str, component: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    one = {"id": "a", "host": "127.0.0.1", "port": 1, part: [component]}
    two = {"id": "b", "host": "0.0.0.0", "port": 2, part: [component | other]}
    assert (shared_digest(one) == shared_digest(two)) is same, what


def test_limits() -> None:
    assert [limit(text, 30) for text in ("", "4", "10%", "1%")] == [None, 4, 3, 1]
