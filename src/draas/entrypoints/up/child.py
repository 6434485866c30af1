"""One of the two processes as a child: its log file, its end, and its end with ours."""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PROGRAM = (sys.executable, "-P", "-m", "draas.entrypoints.draas")
"""`-P` keeps files of the working directory from being imported."""

LARGEST_LOG = 10 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 4096
_TAIL_LINES = 6


class Child:
    """A process of `draas COMMAND`; what it prints goes to a file.

    It is in a group of its own, so that Ctrl-C reaches only us and the order of ending is ours. The
    kernel tells it to end when we are gone, whatever ended us.
    """

    def __init__(self, title: str, arguments: list[str], log: Path) -> None:
        self.title = title
        self.log = log
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        trim(self.log)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *PROGRAM,
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                process_group=0,
                preexec_fn=_end_with(os.getpid()),
            )
        finally:
            os.close(descriptor)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    async def ended(self) -> str:
        """Wait for the process's end; how it ended, in words."""
        assert self._process is not None
        return ending(await self._process.wait())

    async def stop(self, within: float, hurry: asyncio.Event) -> bool:
        """Ask it to end and wait; kill it after `within` seconds or in a hurry. Whether it ended
        by itself."""
        if not self.running:
            return True
        assert self._process is not None
        self._signal(signal.SIGTERM)
        end = asyncio.create_task(self._process.wait())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait([end, hurried], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        gently = end.done()
        if not gently:
            self._signal(signal.SIGKILL)
        await end
        return gently

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def last_lines(self) -> list[str]:
        """The last lines that it printed."""
        with suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        return []


def ending(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def trim(log: Path) -> None:
    """Move what a log holds to `NAME.1` when it is large; its writer goes on at the beginning."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LARGEST_LOG:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)


def _end_with(parent: int) -> Callable[[], None] | None:
    """What the child does before it becomes the program: ask for SIGTERM at our end."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
