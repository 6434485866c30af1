"""Real fleets: `draas up` as a process, and commands against it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.eventually import eventually

DRAAS = (sys.executable, "-m", "draas.entrypoints.draas")
QUICK = ("--Reconciliation:RestartDelay=00:00:00.1", "--MonitorInterval=00:00:00.5")
START_SECONDS = 40.0


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def draas(
    *arguments: str, stdin: str = "", within: float = 60, env: dict[str, str] | None = None
) -> Done:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *DRAAS,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@dataclass
class Fleet:
    """A running `draas up`."""

    process: asyncio.subprocess.Process
    data: Path
    output: Path

    async def draas(self, *arguments: str, stdin: str = "") -> Done:
        """A command with this fleet's addresses."""
        plane, daemon = self.urls
        env = {"DRAAS_CONTROL_PLANE_URL": plane, "DRAAS_DAEMON_URL": daemon}
        return await draas(*arguments, stdin=stdin, env=env)

    async def ok(self, *arguments: str, stdin: str = "") -> str:
        """The output of a command that must succeed."""
        done = await self.draas(*arguments, stdin=stdin)
        assert done.code == 0, (arguments, done)
        return done.out

    @property
    def urls(self) -> tuple[str, str]:
        lines = self.output.read_text().splitlines()
        plane = next(each for each in lines if each.startswith("The control plane is ready at"))
        daemon = next(each for each in lines if each.startswith("The daemon is ready at"))
        return plane.split()[-1], daemon.split()[-1]

    async def told(self, text: str, within: float = START_SECONDS) -> None:
        """Wait until the terminal shows a text."""

        async def probe() -> bool:
            assert self.process.returncode is None or text in self.output.read_text(), (
                self.output.read_text()
            )
            return text in self.output.read_text()

        await eventually(probe, within=within)

    def child(self, command: str) -> int:
        """The process id of `control-plane` or `daemon`."""
        children = psutil.Process(self.process.pid).children()
        (found,) = [each.pid for each in children if command in each.cmdline()]
        return found

    def servers(self) -> dict[str, int]:
        """The process of each instance that runs."""
        found = {}
        for each in processes_of(self.data):
            folder, _, below = " ".join(each.cmdline()).rpartition("/instances/")
            if folder:
                found[below.split("/")[0]] = each.pid
        return found

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Signal `draas up`; its exit code."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 60)


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process that names the data folder on its command line."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if each.status() != psutil.STATUS_ZOMBIE and any(
                argument.startswith(str(data)) for argument in each.cmdline()
            ):
                found.append(each)
    return found


def servers_of(data: Path) -> list[int]:
    """The processes that name the data folder, without what routes to them."""
    return [each.pid for each in processes_of(data) if each.name() != "envoy"]


@asynccontextmanager
async def up(data: Path, *arguments: str) -> AsyncIterator[Fleet]:
    """A fleet that is ready; whatever of it is left afterwards is ended."""
    output = data.parent / f"{data.name}.out"
    ports = ("--control-plane-port", "0", "--daemon-port", "0")
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *DRAAS, "up", "--data", str(data), *ports, *QUICK, *arguments, stdout=file, stderr=file
        )
    fleet = Fleet(process, data, output)
    try:
        await fleet.told("The daemon is ready at")
        yield fleet
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        for each in processes_of(data):
            with suppress(psutil.Error):
                each.kill()


@asynccontextmanager
async def daemon_alone(data: Path, *arguments: str) -> AsyncIterator[str]:
    """The URL of a daemon that runs without `draas up`."""
    process = await asyncio.create_subprocess_exec(
        *(*DRAAS, "daemon", "--data", str(data), "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = ""
            while "Now listening on: " not in line:
                line = (await process.stdout.readline()).decode()
                assert line
        yield line.split()[-1]
    finally:
        process.kill()
        await process.wait()
