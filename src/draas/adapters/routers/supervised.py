"""A proxy as a child process: started, found again, and started anew when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from draas.adapters.machine import logs
from draas.adapters.machine.redaction import Redaction
from draas.adapters.machine.server_process import ServerProcess, start_time
from draas.control_plane.router import RouterError
from draas.telemetry import messages
from draas.telemetry.logs import emit

_LOG_BYTES: Final = 10_485_760
_GRACE_SECONDS = 5.0
_LONG_ENOUGH = 5.0
"""One that ran this long did not die of its configuration."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0


class SupervisedProcess:
    """A process that works in `directory` and is known by its arguments.

    It outlives the control plane. `argv` must name a file of the directory: by that a later
    control plane finds it. One that was started with other arguments is replaced.
    """

    def __init__(self, directory: Path, argv: Sequence[str]) -> None:
        self._directory = directory
        self._argv = tuple(argv)
        self._process: ServerProcess | None = None
        self._revival: asyncio.Task[None] | None = None
        self._wanted = False
        self._delay = 0.0
        self._log_start = 0

    @property
    def wanted(self) -> bool:
        """Whether it runs, or is about to run again."""
        return self._wanted

    async def adopt(self) -> bool:
        """Take over what an earlier control plane started; whether it runs now.

        Leftovers with other arguments, of an earlier version say, are ended.
        """
        if self._wanted:
            return True
        for process_id, argv in await asyncio.to_thread(_found, self._directory):
            started = start_time(process_id)
            process = None if started is None else ServerProcess.hold(process_id, started)
            if process is None:
                continue
            # A program that executes itself anew may add arguments of its own.
            if set(self._argv) <= set(argv) and self._process is None:
                self._keep(process)
            else:
                await process.end(_GRACE_SECONDS)
        return self._process is not None

    def start(self) -> None:
        """Run it unless it does; raises `RouterError` when it cannot be started."""
        if not self._wanted:
            try:
                self._spawn()
            except (OSError, ValueError) as error:
                raise RouterError(f"{self._argv[0]!r} could not be started: {error}") from error

    async def until(self, ready: Coroutine[Any, Any, None], seconds: float, *, once: bool) -> None:
        """Return when `ready` does; with `once` it is not waited for beyond its end.

        Raises:
            RouterError: it is not ready, with its last words.
        """
        task = asyncio.ensure_future(ready)
        ended = self._process.exited if once and self._process is not None else task
        try:
            await asyncio.wait({task, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
                return
        finally:
            task.cancel()
        how = f"is not ready after {seconds:g} s"
        if ended.done():
            how = f"ended with exit code {ended.result()} before it was ready"
        log = logs.last_lines(self._directory, self._log_start, Redaction({}))
        raise RouterError(": ".join((f"{self._argv[0]!r} {how}", *log[-1:])))

    async def stop(self) -> None:
        """End it; returns when it is gone."""
        self._wanted = False
        if self._revival is not None:
            self._revival.cancel()
        process, self._process = self._process, None
        if process is not None:
            await process.end(_GRACE_SECONDS)

    def release(self) -> None:
        """Stop watching it; it goes on."""
        self._wanted = False
        if self._revival is not None:
            self._revival.cancel()
        if self._process is not None:
            self._process.release()
            self._process = None

    def _spawn(self) -> None:
        logs.rotate(self._directory, _LOG_BYTES, 1)
        self._log_start = logs.size(self._directory)
        # Of our environment, which may hold secrets, it gets nothing that it does not need.
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        self._keep(ServerProcess.spawn(self._argv, self._directory, environment))

    def _keep(self, process: ServerProcess) -> None:
        self._process = process
        self._wanted = True
        began = asyncio.get_running_loop().time()
        process.exited.add_done_callback(lambda _: self._ended(process, began))

    def _ended(self, process: ServerProcess, began: float) -> None:
        if self._wanted and self._process is process:
            loop = asyncio.get_running_loop()
            self._delay = delay_after(self._delay, loop.time() - began)
            emit(messages.ROUTER_ENDED, program=self._argv[0], delay=self._delay)
            self._revival = loop.create_task(self._revive(self._delay))

    async def _revive(self, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            with contextlib.suppress(OSError, ValueError):
                self._spawn()
                return
            delay = delay_after(delay, 0.0)


def delay_after(before: float, lived: float) -> float:
    """Seconds until the next start: none after a life of some time, else twice those before it."""
    if lived >= _LONG_ENOUGH:
        return 0.0
    return min(max(before * 2, _FIRST_DELAY), _LONGEST_DELAY)


def _found(directory: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The processes of this user that lead a session and work with files of the directory."""
    found = []
    for process_id in psutil.pids():
        try:
            if os.stat(f"/proc/{process_id}").st_uid != os.getuid():  # noqa: PTH116  hot: every process
                continue
            raw = Path(f"/proc/{process_id}/cmdline").read_bytes().rstrip(b"\0")
            argv = tuple(part.decode(errors="surrogateescape") for part in raw.split(b"\0"))
            ours = any(each.startswith(f"{directory}/") for each in argv)
            if ours and os.getsid(process_id) == process_id:
                found.append((process_id, argv))
        except OSError:
            continue
    return iter(found)


def executable(program: str) -> bool:
    """Whether a path names a program that can be run."""
    return os.access(program, os.X_OK) and Path(program).is_file()
