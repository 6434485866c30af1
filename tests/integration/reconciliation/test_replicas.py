"""Several daemons over one store: any of them answers for the whole fleet."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from draas.adapters.clock import SystemClock
from draas.client.port import ControlPlane
from draas.entrypoints.web_server import WebServer
from draas.model.configuration import digest
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.management.app import application
from draas.reconciliation.management.replicas import Replicas
from draas.reconciliation.options import DaemonSettings
from draas.testing.configurations import configuration
from draas.testing.memory_leases import MemoryLeases
from draas.testing.memory_store import MemoryReconciliationStore
from draas.testing.simulated_control_plane import SimulatedControlPlane
from tests.support.eventually import eventually

NAMES = [f"instance-{number:02}" for number in range(24)]
WRONG = configuration(1024)
SETTINGS = replace(
    DaemonSettings(),
    reconciliation=replace(DaemonSettings().reconciliation, restart_delay=timedelta()),
)


@dataclass
class Replica:
    daemon: Daemon
    server: WebServer
    client: httpx.AsyncClient

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(f"/api/reconciliation/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        headers = {"Draas-Actor": "olga"}
        return await self.client.post(f"/api/reconciliation/{path}", json=body, headers=headers)


class Fleet:
    """A simulated control plane on the machine's clock, and replicas that share it."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.plane = SimulatedControlPlane(self.clock)
        self.store = MemoryReconciliationStore()
        self.leases = MemoryLeases(self.clock)
        self.replicas: list[Replica] = []

    @asynccontextmanager
    async def replica(self) -> AsyncIterator[Replica]:
        daemon = Daemon(SETTINGS, self.store, self.leases, self.clock)
        relays, stopping = Replicas(daemon), asyncio.Event()
        answering: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def listens(url: str) -> None:
            daemon.listens_at(url)
            answering.set_result(url)

        server = WebServer(application(daemon, relays), "127.0.0.1", 0, on_started=listens)
        serving = asyncio.create_task(server.serve())
        url = await answering
        working = asyncio.create_task(daemon.run(self._connect, stopping))
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            yield Replica(daemon, server, client)
        stopping.set()
        server.end()
        await asyncio.gather(serving, working)
        await relays.close()

    async def _connect(self) -> ControlPlane:
        return self.plane


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    """Three replicas that hold all shards among them, and instances in order."""
    world = Fleet()
    for number, name in enumerate(NAMES):
        await world.plane.create(name, configuration(8100 + number))
        await world.plane.want(name, running=True)
    async with AsyncExitStack() as stack:
        world.replicas = [await stack.enter_async_context(world.replica()) for _ in range(3)]
        await eventually(lambda: shared(world), within=20)
        yield world


async def shared(world: Fleet) -> bool:
    held = [replica.daemon.shards.held for replica in world.replicas]
    all_synced = all(replica.daemon.link.synced for replica in world.replicas)
    return all(held) and sorted(itertools.chain(*held)) == list(range(64)) and all_synced


def owner_of(world: Fleet, name: str) -> Replica:
    [owner] = [each for each in world.replicas if each.daemon.shards.owns(name)]
    return owner


def another(world: Fleet, replica: Replica) -> Replica:
    return next(each for each in world.replicas if each is not replica)


async def broken(world: Fleet, name: str) -> None:
    """The instance's new configuration failed; the last good one runs."""
    world.plane.failing[digest(WRONG)] = "port 1024 is in use"
    await world.plane.configure(name, WRONG)
    owner = owner_of(world, name)

    async def is_held() -> bool:
        plan = owner.daemon.fleet.plans.get(name)
        return plan is not None and plan.blocked_by is not None

    await eventually(is_held, within=30)


async def test_each_replica_answers_for_all(fleet: Fleet) -> None:
    name = NAMES[7]
    await broken(fleet, name)
    owner = owner_of(fleet, name)
    listings = [await each.get("instances") for each in fleet.replicas]
    assert [line["instanceId"] for line in listings[0]["instances"]] == NAMES
    assert listings[0] == listings[1] == listings[2]
    lines = {line["instanceId"]: line for line in listings[0]["instances"]}
    assert lines[name]["blockedBy"] == "quarantine"
    told = await another(fleet, owner).get(f"instances/{name}")
    assert told["plan"] == (await owner.get(f"instances/{name}"))["plan"]
    assert told["plan"]["decision"] == "held"

    pages, after = [], ""
    while True:
        page = await fleet.replicas[1].get("instances", limit=7, after=after)
        pages.append([line["instanceId"] for line in page["instances"]])
        after = page["next"]
        if after is None:
            break
    assert [len(page) for page in pages] == [7, 7, 7, 3]
    assert list(itertools.chain(*pages)) == NAMES
    drifting = await fleet.replicas[2].get("instances", verdict="drifted")
    assert [line["instanceId"] for line in drifting["instances"]] == [name]


async def test_an_order_reaches_the_daemon_that_works_on_the_instance(fleet: Fleet) -> None:
    name = NAMES[3]
    await broken(fleet, name)
    owner = owner_of(fleet, name)
    stranger = another(fleet, owner)
    fleet.plane.failing.clear()
    refused = await stranger.post(f"instances/{name}/reconcile", {"strategy": "Yolo"})
    assert (refused.status_code, refused.json()["type"]) == (
        400,
        "urn:draas:problem:invalid-parameter",
    )
    lifted = await stranger.post(f"instances/{name}/release")
    assert lifted.json() == {"instanceId": name, "released": True}
    server = fleet.plane.servers[name]

    async def runs() -> bool:
        return server.running is not None and digest(server.running) == digest(WRONG)

    await eventually(runs, within=30)
    entries = (await stranger.get("audit", instanceId=name))["entries"]
    [released] = [entry for entry in entries if entry["outcome"] == "released"]
    assert released["actor"] == "olga"


async def test_the_steps_of_an_operation_are_told_by_any(fleet: Fleet) -> None:
    await broken(fleet, NAMES[0])
    [begun] = (await fleet.replicas[0].get("audit", outcome="started"))["entries"]
    for each in fleet.replicas:
        told = await each.get(f"operations/{begun['operationId']}")
        phases = [step["phase"] for step in told["steps"]]
        assert phases[0] == "checking" and phases[-1] == "finished"
        assert len({step["fence"] for step in told["steps"]}) == 1
    nothing = await fleet.replicas[0].client.get("/api/reconciliation/operations/none")
    assert nothing.status_code == 404


async def test_replicas_know_each_other_and_one_leads(fleet: Fleet) -> None:
    told = [await each.get("replicas") for each in fleet.replicas]
    assert [each["leads"] for each in told].count(True) == 1
    for each in told:
        assert {other["id"] for other in each["replicas"]} == {mine["replica"] for mine in told}
    released = await another(
        fleet, next(each for each in fleet.replicas if each.daemon.shards.leads)
    ).post("breaker/release")
    assert released.json() == {"open": False}
    metrics = [(await each.client.get("/metrics")).text for each in fleet.replicas]
    held = [line for text in metrics for line in text.splitlines() if "shards_held " in line]
    assert sum(float(line.split()[-1]) for line in held if line[0] != "#") == 64


async def test_a_replica_that_does_not_answer_is_said_to_be_away(fleet: Fleet) -> None:
    silent = fleet.replicas[0]
    name = next(name for name in NAMES if silent.daemon.shards.owns(name))
    silent.server.end()

    async def refusal() -> httpx.Response | None:
        try:
            found = await fleet.replicas[1].client.get(f"/api/reconciliation/instances/{name}")
        except httpx.TimeoutException:  # it waits for one that is going down
            return None
        return found if found.status_code != 200 else None

    answer = await eventually(refusal, within=30)
    assert answer is not None and answer.status_code == 503
    assert answer.json()["type"] == "urn:draas:problem:replica-unreachable"
    listing = await fleet.replicas[1].get("instances")
    assert [line["instanceId"] for line in listing["instances"]] == NAMES
