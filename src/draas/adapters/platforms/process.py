"""Runs servers as child processes that outlive the control plane (B-98 to B-105)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from draas.adapters.machine import logs
from draas.adapters.machine.ports import bind_fault
from draas.adapters.machine.redaction import Redaction
from draas.adapters.machine.server_process import ServerProcess
from draas.adapters.platforms import launch_file, markers
from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.handover_client import HandoverClient
from draas.adapters.platforms.readiness import until_ready
from draas.control_plane.handover import HandoverError, NoHandoverError
from draas.control_plane.ports import Exit, Launch, LaunchError, Running, SlotOccupiedError
from draas.model.configuration import ConfigurationError
from draas.model.status import PlatformType
from draas.telemetry import messages
from draas.telemetry.logs import emit

INCLUDED: Final = (sys.executable, "-P", "-m", "draas.entrypoints.instance")
"""The server that is part of this project; `-P` keeps the slot's files from being imported."""

_DISK_SECONDS = 30.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Slot:
    running: Running
    process: ServerProcess
    directory: Path
    launch: str | None
    redaction: Redaction | None
    log_start: int
    expected: bool = False


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
        self._log_limits = (log_max_bytes, log_backups)
        self._rotation_interval = rotation_interval
        self._slots: dict[Path, _Slot] = {}
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._on_exit: Callable[[Exit], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._rotation: asyncio.Task[None] | None = None
        self._found: asyncio.Task[dict[Path, markers.Marked]] | None = None

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
            held = await self._held(directory, launch.instance_id, launch.slot)
            if held is not None:
                if held.launch == markers.fingerprint(document):
                    return held.running
                raise SlotOccupiedError(held.running)
            slot = await self._spawn(launch, directory, document)
            try:
                await self._ensure_ready(slot)
            except BaseException:
                await slot.process.kill()
                await self._clean_up(slot)
                raise
            self._keep(slot)
            await _off_loop(launch_file.kept_data(directory).unlink, missing_ok=True)
            return slot.running

    async def stop(self, instance_id: str, slot: str, *, keep_data: bool = False) -> bool:
        """See `Platform.stop`; SIGINT is the only signal that a Drasi server ends well on."""
        directory = self._directory(instance_id, slot)
        async with self._lock(directory):
            held = await self._held(directory, instance_id, slot)
            if held is None:
                return False
            if keep_data:
                await self._keep_data(held)
            held.expected = True
            await held.process.end(self._shutdown_timeout)
            await self._clean_up(held)
            return True

    async def adopt(self, known: Running | None, instance_id: str, slot: str) -> Running | None:
        """See `Platform.adopt`: by number and start time, else by the marks that servers carry."""
        directory = self._directory(instance_id, slot)
        async with self._lock(directory):
            if directory not in self._slots and known is not None:
                process = ServerProcess.hold(known.process_id, known.process_started)
                if process is not None:
                    launch = await _off_loop(markers.launch_of, known.process_id)
                    await self._take_over(process, known, directory, launch)
            held = await self._held(directory, instance_id, slot)
            return None if held is None else held.running

    async def remove(self, instance_id: str) -> None:
        """See `Platform.remove`."""
        directory = launch_file.instance_directory(self._data, instance_id)
        for path in {*self._slots, *await self._leftovers()}:
            if path.parent == directory and (
                held := await self._held(path, instance_id, path.name)
            ):
                raise SlotOccupiedError(held.running)
        await _off_loop(_remove_tree, directory)

    def watch(self, on_exit: Callable[[Exit], None]) -> None:
        """See `Platform.watch`."""
        self._on_exit = on_exit

    async def close(self) -> None:
        """See `Platform.close`."""
        self._on_exit = None
        tasks = [*self._tasks, *(task for task in (self._rotation, self._found) if task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for slot in self._slots.values():
            slot.process.release()
        self._slots.clear()

    async def _keep_data(self, slot: _Slot) -> None:
        """Keep what the sources have brought; a server that cannot tell is stopped all the same."""
        path = launch_file.kept_data(slot.directory)
        try:
            await self._handover.export(slot.running, path)
        except NoHandoverError:
            path.unlink(missing_ok=True)
        except HandoverError as error:
            path.unlink(missing_ok=True)
            emit(messages.DATA_NOT_KEPT, instance_id=slot.running.instance_id, reason=error)

    # Finding what runs

    def _directory(self, instance_id: str, slot: str) -> Path:
        return launch_file.slot_directory(self._data, instance_id, slot)

    def _lock(self, directory: Path) -> asyncio.Lock:
        return self._locks.setdefault(directory, asyncio.Lock())

    async def _held(self, directory: Path, instance_id: str, slot: str) -> _Slot | None:
        """The slot if it runs, taken over from an earlier control plane if need be."""
        held = self._slots.get(directory)
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
        return self._slots.get(directory)

    async def _leftovers(self) -> dict[Path, markers.Marked]:
        """What an earlier control plane started; looked for once, as there cannot come more."""
        if self._found is None or (self._found.done() and self._found.exception()):
            self._found = asyncio.create_task(_off_loop(markers.find_marked, self._data))
        return await asyncio.shield(self._found)

    async def _take_over(
        self, process: ServerProcess, running: Running, directory: Path, launch: str | None
    ) -> None:
        redaction = await _off_loop(_redaction_of, directory)
        self._keep(
            _Slot(
                replace(running, process_started=process.started),
                process,
                directory,
                launch,
                redaction,
                log_start=0,
            )
        )

    # Starting

    async def _spawn(self, launch: Launch, directory: Path, document: bytes) -> _Slot:
        if fault := self.unavailable() or await _off_loop(bind_fault, launch.host, launch.port):
            raise LaunchError(fault)
        try:
            file = await _off_loop(launch_file.write_launch_file, directory, document)
            log_start = await _off_loop(logs.size, directory)
            restored = None if launch.follow else await _off_loop(launch_file.restorable, directory)
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
        return _Slot(
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

    async def _ensure_ready(self, slot: _Slot) -> None:
        exited = slot.process.exited
        fault = await until_ready(slot.running, exited, self._client, self._start_timeout)
        if fault is not None:
            code = exited.result() if exited.done() else None
            await slot.process.kill()
            log = await self._last_lines(slot)
            raise LaunchError(": ".join((fault, *log[-1:])), exit_code=code, log=log)

    # While it runs

    def _keep(self, slot: _Slot) -> None:
        self._slots[slot.directory] = slot
        slot.process.exited.add_done_callback(lambda _: self._spawn_task(self._ended(slot)))
        if self._rotation is None:
            self._rotation = asyncio.create_task(self._rotate())

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ended(self, slot: _Slot) -> None:
        if slot.expected:
            return
        await self._clean_up(slot)
        if self._on_exit is not None:
            running = slot.running
            log = await self._last_lines(slot)
            self._on_exit(
                Exit(
                    running.instance_id,
                    running.slot,
                    running.process_id,
                    slot.process.exited.result(),
                    log,
                )
            )

    async def _clean_up(self, slot: _Slot) -> None:
        """Forget a slot that ended, with what is left of its group."""
        if self._slots.get(slot.directory) is slot:
            del self._slots[slot.directory]
        await _off_loop(markers.kill_group, slot.running.process_id, slot.directory)

    async def _last_lines(self, slot: _Slot) -> tuple[str, ...]:
        if slot.redaction is None:
            return ()
        return await _off_loop(logs.last_lines, slot.directory, slot.log_start, slot.redaction)

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(self._rotation_interval)
            for directory in list(self._slots):
                with contextlib.suppress(OSError):
                    await _off_loop(logs.rotate, directory, *self._log_limits)


async def _off_loop(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What blocks on disks or `/proc`, in a thread and with a deadline (`TimeoutError`)."""
    async with asyncio.timeout(_DISK_SECONDS):
        return await asyncio.to_thread(call, *args, **kwargs)


def _redaction_of(directory: Path) -> Redaction | None:
    """The secrets of the document that a slot was started with; `None`: not known, so no logs."""
    try:
        return Redaction(json.loads((directory / launch_file.FILE_NAME).read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None


def _remove_tree(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)
