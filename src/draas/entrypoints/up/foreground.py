"""`draas up`: start both, keep both, tell what happens, and end in the right order."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from draas.adapters.machine.ports import bind_fault
from draas.cli.addresses import Addresses
from draas.client.daemon import Reconciliation
from draas.client.http import HttpClient
from draas.client.operators import Operators
from draas.client.port import ControlPlaneError
from draas.entrypoints.exclusive import AlreadyRunningError, exclusive
from draas.entrypoints.serve import bad_settings, fault, shown, warn_of_misspelt
from draas.entrypoints.up import demo
from draas.entrypoints.up.child import Child
from draas.entrypoints.up.given import Given, given, url_of
from draas.entrypoints.up.shutdown import stop_instances
from draas.entrypoints.up.story import Story
from draas.entrypoints.up.supervision import StartError, keep, until_ready
from draas.settings import SettingsError

ACTOR = "up"
CONTROL_PLANE_SECONDS = 15.0
"""How long the control plane may take to end, and the daemon beyond its own grace period."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `draas up` was asked for; `settings` are words of the command line for both."""

    data: Path
    config_dir: Path
    check_only: bool
    demo: bool
    leave_running: bool
    settings: tuple[str, ...]


class PortError(Exception):
    """A port that cannot be had."""


def up(options: Options) -> int:
    """Run until SIGINT or SIGTERM; the exit code."""
    warn_of_misspelt("up")
    try:
        settings = given(options.config_dir, options.settings)
    except SettingsError as error:
        return bad_settings("up", error.faults)
    if options.check_only:
        return shown(settings.lines())
    api, management = settings.control_plane.api, settings.daemon.management
    try:
        first = _port(api.host, api.port, "--control-plane-port")
        ports = first, _port(management.host, management.port, "--daemon-port", other=first)
        addresses = Addresses(url_of(api.host, ports[0]), url_of(management.host, ports[1]))
        with exclusive(options.data, "up.lock"):
            return asyncio.run(_Foreground(options, settings, ports, addresses).run())
    except (PortError, AlreadyRunningError, OSError) as error:
        return fault("up", error)


def _port(host: str, port: int, option: str, other: int = 0) -> int:
    """The port, or a free one for 0; never the `other` one.

    Raises:
        PortError: it is taken.
    """
    while port == 0:
        with socket.create_server((host, 0)) as probe:
            chosen: int = probe.getsockname()[1]
        if chosen != other:
            return chosen
    why = bind_fault(host, port)
    if why is not None:
        raise PortError(f"{why} ({option})")
    return port


class _Foreground:
    def __init__(
        self, options: Options, settings: Given, ports: tuple[int, int], addresses: Addresses
    ) -> None:
        self._options = options
        self._addresses = addresses
        self._grace = settings.daemon.reconciliation.shutdown_grace_period.total_seconds()
        self._plane = Operators(HttpClient(addresses.control_plane, actor=ACTOR))
        self._daemon = Reconciliation(HttpClient(addresses.daemon, actor=ACTOR))
        self._story = Story(self._daemon, tell)
        logs = options.data / "logs"
        common = ["--data", str(options.data), "--config-dir", str(options.config_dir)]
        self._plane_child = Child(
            "the control plane",
            ["control-plane", *common, "--port", str(ports[0]), *settings.control_plane_words],
            logs / "control-plane.log",
        )
        self._daemon_child = Child(
            "the daemon",
            [
                *("daemon", *common, "--port", str(ports[1]), *settings.daemon_words),
                f"--ControlPlaneUrl={addresses.control_plane}",
            ],
            logs / "daemon.log",
        )
        self._ready: set[Child] = set()
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:  # nohup
                loop.add_signal_handler(each, self._signalled)
        try:
            return await self._work()
        finally:
            await self._plane.http.close()
            await self._daemon.http.close()

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()

    async def _work(self) -> int:
        tasks: list[asyncio.Task[Any]] = []
        code = 0
        try:
            if await self._unless_stopped(self._start()):
                tasks = [asyncio.create_task(each) for each in self._watching()]
                if self._options.demo:
                    tasks.append(asyncio.create_task(self._demo()))
                await self._until_stopped(tasks)
        except StartError as error:
            code = fault("up", error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._shut_down()
        return code

    async def _until_stopped(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Wait for a signal; what fails meanwhile is no reason to go on half blind."""
        stopped = asyncio.create_task(self._stopping.wait())
        waiting = {stopped, *tasks}
        while not stopped.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work, unless a signal comes first; whether it was done."""
        task = asyncio.create_task(work)
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return False
        task.result()
        return True

    async def _start(self) -> None:
        tell(f"Starting; data and logs are in {self._options.data.resolve()}")
        for child, readiness, url in (
            (self._plane_child, self._plane.readiness, self._addresses.control_plane),
            (self._daemon_child, self._daemon.readiness, self._addresses.daemon),
        ):
            await child.start()
            try:
                await until_ready(child, readiness, tell)
            except StartError as error:
                said = "".join(f"\n  | {line}" for line in child.last_lines())
                raise StartError(f"{error}; the end of {child.log}:{said}") from None
            self._ready.add(child)
            tell(f"{child.title} is ready at {url}")
        await self._story.begin()

    def _watching(self) -> list[Coroutine[Any, Any, None]]:
        return [
            keep(self._plane_child, self._plane.readiness, tell),
            keep(self._daemon_child, self._daemon.readiness, tell),
            self._story.follow(),
        ]

    async def _demo(self) -> None:
        try:
            created = await demo.create(self._plane, tell)
            await demo.until_running(self._plane, tell)
            if created:
                await demo.show_healing(self._plane, self._story, self._options.data, tell)
        except (ControlPlaneError, LookupError) as error:
            tell(f"The demonstration is over: {error}")
        for line in demo.next_steps(self._addresses):
            tell(line)
        tell("Everything is kept at its configuration; Ctrl-C ends.")

    async def _shut_down(self) -> None:
        if self._daemon_child.running:
            tell("Stopping the daemon; what it is doing is finished first")
        within = self._grace + CONTROL_PLANE_SECONDS
        if not await self._daemon_child.stop(within, self._hurry):
            tell("the daemon was killed; it goes on with its work at the next start")
        if self._plane_child.running and self._plane_child not in self._ready:
            tell("the control plane had not started yet: servers that ran before go on")
        elif self._plane_child.running and not self._options.leave_running:
            await stop_instances(self._plane, self._hurry, tell)
        await self._plane_child.stop(CONTROL_PLANE_SECONDS, self._hurry)
        tell("Stopped.")


def tell(text: str) -> None:
    """One line for who watches the terminal, if there still is one."""
    with suppress(OSError):
        print(text[:1].upper() + text[1:] if text.startswith("the ") else text, flush=True)
