"""One operating system process of a server, with its group, from spawn to its reaping.

Its identity is the number with the start time, held by a pidfd: a signal through that can never
reach a stranger that got the same number later (B-101). Linux only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from draas.adapters.machine.logs import open_log

_KILL_SECONDS = 5.0
_SAME_START = 0.011
"""Start times are told in hundredths of a second."""


class ServerProcess:
    """A running server; `exited` gets its exit code, `None` where another process started it.

    It is led by a session of its own, so that neither the end of the control plane nor a key
    pressed in its terminal reaches it. When it ends, what is left of its group is killed.
    """

    def __init__(
        self, process_id: int, started: float, pidfd: int, child: subprocess.Popen[bytes] | None
    ) -> None:
        self.process_id = process_id
        self.started = started
        self.exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._pidfd = pidfd
        self._child = child
        asyncio.get_running_loop().add_reader(pidfd, self._ended)

    @classmethod
    def spawn(
        cls, argv: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> ServerProcess:
        """Start a program in a directory, its output appended to the log there.

        A plain `Popen` and not asyncio's: that one kills its child when the loop goes away.
        Raises `OSError` or `ValueError` when the program cannot be started.
        """
        log = open_log(directory)
        try:
            child = subprocess.Popen(
                argv,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        # Not reaped before `_ended` does, so the number cannot belong to anyone else yet.
        return cls(
            child.pid, psutil.Process(child.pid).create_time(), os.pidfd_open(child.pid), child
        )

    @classmethod
    def hold(cls, process_id: int, started: float) -> ServerProcess | None:
        """Take over a process that runs already, or `None` if it is not there any more."""
        try:
            pidfd = os.pidfd_open(process_id)
        except (OSError, ValueError):
            return None
        # Asked after the pidfd holds it: what answers now is what the signals will reach.
        present = start_time(process_id)
        if present is None or not same_start(present, started):
            os.close(pidfd)
            return None
        return cls(process_id, present, pidfd, None)

    async def end(self, grace: float) -> None:
        """Interrupt it, and kill its group if it is not gone after `grace` seconds.

        Raises `TimeoutError` when even that did not end it.
        """
        self._signal(signal.SIGINT)
        if not await self._gone(grace):
            await self.kill()

    async def kill(self) -> None:
        """Kill it and its group at once; raises `TimeoutError` when that did not end it."""
        self._signal(signal.SIGKILL)
        if not await self._gone(_KILL_SECONDS):
            raise TimeoutError(f"process {self.process_id} survived SIGKILL")

    def release(self) -> None:
        """Stop watching it; it goes on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _signal(self, number: signal.Signals) -> None:
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def _gone(self, seconds: float) -> bool:
        await asyncio.wait({self.exited}, timeout=seconds)
        return self.exited.done()

    def _ended(self) -> None:
        self.release()
        code = None
        if self._child is not None:
            # The zombie still holds the number, so this group is ours and nobody else's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process_id, signal.SIGKILL)
            code = self._child.wait()
        self.exited.set_result(code)


def start_time(process_id: int) -> float | None:
    """When a process started (epoch seconds), or `None` if it does not run; zombies do not."""
    try:
        process = psutil.Process(process_id)
        started = process.create_time()
        return None if process.status() == psutil.STATUS_ZOMBIE else started
    except (psutil.Error, ValueError, OverflowError):
        return None


def same_start(one: float, other: float) -> bool:
    """Whether two start times are one."""
    return abs(one - other) < _SAME_START


def kill_all(processes: Sequence[int], still_ours: Callable[[int], bool]) -> None:
    """Kill those of the processes that are `still_ours` once they cannot be confused any more."""
    for process_id in processes:
        try:
            pidfd = os.pidfd_open(process_id)
        except OSError:
            continue
        try:
            if still_ours(process_id):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
