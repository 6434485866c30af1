"""Runs servers as child processes that outlive the control plane (B-98 to B-105)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from draas.adapters.machine import logs
from draas.adapters.machine.off_loop import off_loop
from draas.adapters.machine.ports import bind_fault
from draas.adapters.machine.redaction import Redaction
from draas.adapters.machine.server_process import ServerProcess
from draas.adapters.platforms import launch_file, markers
from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.handover_client import HandoverClient
from draas.adapters.platforms.held_servers import HeldServer, HeldServers
from draas.adapters.platforms.readiness import until_ready
from draas.control_plane.handover import HandoverError, NoHandoverError
from draas.control_plane.ports import Exit, Launch, LaunchError, Running, SlotOccupiedError
from draas.model.configuration import ConfigurationError
from draas.model.status import PlatformType
from draas.telemetry import messages
from draas.telemetry.logs import emit

INCLUDED: Final = (sys.executable, "-P", "-m", "draas.entrypoints.instance")
"""The server that is part of this project; `-P` keeps the slot's files from being imported."""


class ProcessPlatform:
    """`Platform` of local processes; each slot has its directory below `data`.

    `command` is the program with its first arguments, run as
    `COMMAND --config FILE --port N [--plugins-dir DIR]`. Times are in seconds.
    """

    type = PlatformType.PROCESS

    def __init__(
        self,
        data: Path,
        client: DrasiClient,
        handover: HandoverClient,
        *,
        command: Sequence[str] = INCLUDED,
        plugins_directory: str = "",
        shutdown_timeout: float = 5.0,
        start_timeout: float = 30.0,
        log_max_bytes: int = 10_485_760,
        log_backups: int = 3,
        rotation_interval: float = 10.0,
    ) -> None:
        self._data = data.resolve()
        self._client = client
        self._handover = handover
        self._command = tuple(command)
        self._plugins = str(Path(plugins_directory).resolve()) if plugins_directory else ""
        self._shutdown_timeout = shutdown_timeout
        self._start_timeout = start_timeout
        self._held = HeldServers(self._data, (log_max_bytes, log_backups), rotation_interval)
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    def unavailable(self) -> str | None:
        """Why no server can be started: the system, the program or the plugins are missing."""
        if not hasattr(os, "pidfd_open"):
            return "processes are supervised by pidfd, which needs Linux 5.3 or later"
        if shutil.which(self._command[0]) is None:
            return (
                f"the program {self._command[0]!r} is not there or not executable; set "
                "Process:ExecutablePath to the server's path, or leave it empty for the included"
            )
        if self._plugins and not Path(self._plugins).is_dir():
            return f"Process:PluginsDirectory {self._plugins!r} is no directory"
        return None

    async def start(self, launch: Launch) -> Running:
        """See `Platform.start`."""
        directory = self._directory(launch.instance_id, launch.slot)
        async with self._lock(directory):
            try:
                document = launch_file.launch_document(launch)
            except (ConfigurationError, ValueError) as error:
                raise LaunchError(f"the configuration cannot be written: {error}") from error
            held = await self._held.at(directory, launch.instance_id, launch.slot)
            if held is not None:
                if held.launch == markers.fingerprint(document):
                    return held.running
                raise SlotOccupiedError(held.running)
            slot = await self._spawn(launch, directory, document)
            try:
                await self._ensure_ready(slot)
            except BaseException:
                await slot.process.kill()
                await self._held.clean_up(slot)
                raise
            self._held.keep(slot)
            await off_loop(launch_file.kept_data(directory).unlink, missing_ok=True)
            return slot.running

    async def stop(self, instance_id: str, slot: str, *, keep_data: bool = False) -> bool:
        """See `Platform.stop`; SIGINT is the only signal that a Drasi server ends well on."""
        directory = self._directory(instance_id, slot)
        async with self._lock(directory):
            held = await self._held.at(directory, instance_id, slot)
            if held is None:
                return False
            if keep_data:
                await self._keep_data(held)
            held.expected = True
            await held.process.end(self._shutdown_timeout)
            await self._held.clean_up(held)
            return True

    async def adopt(self, known: Running | None, instance_id: str, slot: str) -> Running | None:
        """See `Platform.adopt`: by number and start time, else by the marks that servers carry."""
        directory = self._directory(instance_id, slot)
        async with self._lock(directory):
            if known is not None:
                await self._held.take_over(known, directory)
            held = await self._held.at(directory, instance_id, slot)
            return None if held is None else held.running

    async def remove(self, instance_id: str) -> None:
        """See `Platform.remove`."""
        directory = launch_file.instance_directory(self._data, instance_id)
        for path in await self._held.below(directory):
            if held := await self._held.at(path, instance_id, path.name):
                raise SlotOccupiedError(held.running)
        await off_loop(_remove_tree, directory)

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """See `Platform.watch`."""
        self._held.watch(on_exit)

    async def close(self) -> None:
        """See `Platform.close`."""
        await self._held.close()

    def _directory(self, instance_id: str, slot: str) -> Path:
        return launch_file.slot_directory(self._data, instance_id, slot)

    def _lock(self, directory: Path) -> asyncio.Lock:
        return self._locks.setdefault(directory, asyncio.Lock())

    async def _keep_data(self, slot: HeldServer) -> None:
        """Keep what the sources have brought; a server that cannot tell is stopped all the same."""
        path = launch_file.kept_data(slot.directory)
        try:
            await self._handover.export(slot.running, path)
        except NoHandoverError:
            path.unlink(missing_ok=True)
        except HandoverError as error:
            path.unlink(missing_ok=True)
            emit(messages.DATA_NOT_KEPT, instance_id=slot.running.instance_id, reason=error)

    async def _spawn(self, launch: Launch, directory: Path, document: bytes) -> HeldServer:
        if fault := self.unavailable() or await off_loop(bind_fault, launch.host, launch.port):
            raise LaunchError(fault)
        try:
            file = await off_loop(launch_file.write_launch_file, directory, document)
            log_start = await off_loop(logs.size, directory)
            restored = None if launch.follow else await off_loop(launch_file.restorable, directory)
            process = ServerProcess.spawn(
                self._arguments(file, launch, restored),
                directory,
                markers.environment(launch, document),
            )
        except (OSError, ValueError) as error:
            raise LaunchError(f"the server could not be started: {error}") from error
        running = Running(
            launch.instance_id,
            launch.slot,
            process.process_id,
            process.started,
            launch.host,
            launch.port,
        )
        redaction = Redaction(json.loads(document))
        return HeldServer(
            running, process, directory, markers.fingerprint(document), redaction, log_start
        )

    def _arguments(self, file: Path, launch: Launch, restored: Path | None) -> list[str]:
        program = shutil.which(self._command[0]) or self._command[0]
        plugins = ["--plugins-dir", self._plugins] if self._plugins else []
        return [
            str(Path(program).absolute()),
            *self._command[1:],
            "--config",
            str(file),
            "--port",
            str(launch.port),
            *plugins,
            *(["--follow", launch.follow] if launch.follow else []),
            *(["--restore", str(restored)] if restored else []),
        ]

    async def _ensure_ready(self, slot: HeldServer) -> None:
        exited = slot.process.exited
        fault = await until_ready(slot.running, exited, self._client, self._start_timeout)
        if fault is not None:
            code = exited.result() if exited.done() else None
            await slot.process.kill()
            log = await self._held.last_lines(slot)
            raise LaunchError(": ".join((fault, *log[-1:])), exit_code=code, log=log)


def _remove_tree(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)
