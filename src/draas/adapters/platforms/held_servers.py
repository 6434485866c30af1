"""The servers that run here: found again, watched, their logs kept small, cleaned up after."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from draas.adapters.machine import logs
from draas.adapters.machine.off_loop import off_loop
from draas.adapters.machine.redaction import Redaction
from draas.adapters.machine.server_process import ServerProcess
from draas.adapters.platforms import launch_file, markers
from draas.control_plane.ports import Exit, Running


@dataclass(slots=True)
class HeldServer:
    """A server that runs; its end is `expected` once it was asked for it."""

    running: Running
    process: ServerProcess
    directory: Path
    launch: str | None
    redaction: Redaction | None
    log_start: int
    expected: bool = False


class HeldServers:
    """By the directory of their slot, below `data`; its caller sees that each is used by one."""

    def __init__(self, data: Path, log_limits: tuple[int, int], rotation_interval: float) -> None:
        self._data = data
        self._log_limits = log_limits
        self._rotation_interval = rotation_interval
        self._servers: dict[Path, HeldServer] = {}
        self._on_exit: Callable[[Exit], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._rotation: asyncio.Task[None] | None = None
        self._found: asyncio.Task[dict[Path, markers.Marked]] | None = None

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """Tell of each that ends unexpectedly."""
        self._on_exit = on_exit

    async def at(self, directory: Path, instance_id: str, slot: str) -> HeldServer | None:
        """The one that runs there, taken over from an earlier control plane if need be."""
        held = self._servers.get(directory)
        if held is not None and not held.process.exited.done():
            return held
        found = (await self._leftovers()).pop(directory, None)
        process = found and ServerProcess.hold(found.process_id, found.started)
        if not found or not process:
            return None
        running = Running(
            instance_id, slot, found.process_id, found.started, found.host, found.port
        )
        await self._take_over(process, running, directory, found.launch)
        return self._servers.get(directory)

    async def take_over(self, known: Running, directory: Path) -> None:
        """Take over the one that was recorded, if it is still there and none is known."""
        if directory in self._servers:
            return
        process = ServerProcess.hold(known.process_id, known.process_started)
        if process is not None:
            launch = await off_loop(markers.launch_of, known.process_id)
            await self._take_over(process, known, directory, launch)

    async def below(self, directory: Path) -> list[Path]:
        """The directories of slots, in this one, of which something may run."""
        known = {*self._servers, *await self._leftovers()}
        return [each for each in known if each.parent == directory]

    def keep(self, server: HeldServer) -> None:
        """Watch one that is ready."""
        self._servers[server.directory] = server
        server.process.exited.add_done_callback(lambda _: self._spawn_task(self._ended(server)))
        if self._rotation is None:
            self._rotation = asyncio.create_task(self._rotate())

    async def clean_up(self, server: HeldServer) -> None:
        """Forget one that ended, with what is left of its group."""
        if self._servers.get(server.directory) is server:
            del self._servers[server.directory]
        await off_loop(markers.kill_group, server.running.process_id, server.directory)

    async def last_lines(self, server: HeldServer) -> tuple[str, ...]:
        """Its last words, without secrets; none where these are not known."""
        if server.redaction is None:
            return ()
        return await off_loop(logs.last_lines, server.directory, server.log_start, server.redaction)

    async def close(self) -> None:
        """Stop watching; what runs goes on."""
        self._on_exit = None
        tasks = [*self._tasks, *(task for task in (self._rotation, self._found) if task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers.values():
            server.process.release()
        self._servers.clear()

    async def _leftovers(self) -> dict[Path, markers.Marked]:
        """What an earlier control plane started; looked for once, as there cannot come more."""
        if self._found is None or (self._found.done() and self._found.exception()):
            self._found = asyncio.create_task(off_loop(markers.find_marked, self._data))
        return await asyncio.shield(self._found)

    async def _take_over(
        self, process: ServerProcess, running: Running, directory: Path, launch: str | None
    ) -> None:
        redaction = await off_loop(_redaction_of, directory)
        known = replace(running, process_started=process.started)
        self.keep(HeldServer(known, process, directory, launch, redaction, log_start=0))

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ended(self, server: HeldServer) -> None:
        if server.expected:
            return
        await self.clean_up(server)
        if self._on_exit is not None:
            running = server.running
            log = await self.last_lines(server)
            self._on_exit(
                Exit(
                    running.instance_id,
                    running.slot,
                    running.process_id,
                    server.process.exited.result(),
                    log,
                )
            )

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(self._rotation_interval)
            for directory in list(self._servers):
                with contextlib.suppress(OSError):
                    await off_loop(logs.rotate, directory, *self._log_limits)


def _redaction_of(directory: Path) -> Redaction | None:
    """The secrets of the document that a slot was started with; `None`: not known, so no logs."""
    try:
        return Redaction(json.loads((directory / launch_file.FILE_NAME).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None
