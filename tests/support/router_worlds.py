"""Worlds for the contract of traffic routers: real proxies in front of real servers."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from draas.control_plane.router import TrafficRouter
from tests.support.http_backends import Backend
from tests.support.ports import free_port


class RouterWorld:
    """A router that runs as a process with its files in `directory`."""

    def __init__(self, directory: Path, new_router: Callable[[Path], TrafficRouter]) -> None:
        self.directory = directory
        self._new_router = new_router
        self.router = new_router(directory)
        self.free_port = free_port
        self._lost: list[TrafficRouter] = []
        self._backends: list[Backend] = []

    async def backend(self, name: str, **delays: float) -> Backend:
        slow = {f"/{path}": seconds for path, seconds in delays.items()}
        self._backends.append(await Backend(name, slow).start())
        return self._backends[-1]

    async def lose_control_plane(self) -> None:
        self._lost.append(self.router)
        self.router = self._new_router(self.directory)

    def processes(self) -> list[psutil.Process]:
        """All processes of the router, the one that leads them first."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                arguments = process.cmdline()
                if any(each.startswith(f"{self.directory}/") for each in arguments):
                    found.append((os.getsid(process.pid) != process.pid, process))
        return [process for _, process in sorted(found, key=lambda each: each[0])]

    async def kill_router(self) -> None:
        for lost in self._lost:
            await lost.close()
        os.kill(self.processes()[0].pid, signal.SIGKILL)

    async def close(self) -> None:
        """End all that runs."""
        for lost in self._lost:
            await lost.close()
        for backend in self._backends:
            await backend.stop()
        await self.router.open([])
        await self.router.close()
        assert self.processes() == []
