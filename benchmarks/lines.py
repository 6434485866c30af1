"""Processes that are measured: they take a command a line and answer each with a line of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

Handler = Callable[[str], Awaitable[dict[str, Any]]]
MIB = 1024 * 1024
PATIENCE = 300


async def serve(handlers: Mapping[str, Handler], hello: dict[str, Any] | None = None) -> None:
    """Answer commands (`name argument`) from stdin until it closes; say `hello` first."""
    _say(hello or {})
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().strip():
        name, _, argument = line.partition(" ")
        _say(await handlers[name](argument))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


class Child:
    """A process of a module that calls `serve`; its CPU is read from outside, in nanoseconds."""

    def __init__(self, log: Path, module: str, *arguments: str) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.hello = self._answer()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, command: str) -> dict[str, Any]:
        """The answer to a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def cpu(self) -> float:
        """Seconds of CPU that the process has used."""
        return cpu_of(self._process.pid)

    def rss(self) -> float:
        """Resident memory in MiB."""
        return rss_of(self._process.pid)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended: {self._log.read_text()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def cpu_of(process_id: int) -> float:
    """Seconds of CPU that a process has used, all threads, exact to the nanosecond (Linux).

    The clock's id is what `clock_getcpuclockid` answers: no signal, no tick, no sampling.
    """
    return time.clock_gettime((~process_id << 3) | 2)


def rss_of(process_id: int) -> float:
    """Resident memory of a process in MiB."""
    return float(psutil.Process(process_id).memory_info().rss) / MIB


def own_cpu() -> float:
    """Seconds of CPU that this process has used."""
    return cpu_of(os.getpid())
