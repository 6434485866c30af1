"""A place at which a simulated daemon runs, dies and is started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from draas.client.port import ControlPlane
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.store import StoreError
from draas.testing.network import Line
from draas.testing.processes import Process

RESTART_SECONDS = 2.0


class Member:
    """The daemon of now, its process and its lines to the control plane and the store.

    `make` gives the daemon of a new process and the control plane as that reaches it. A daemon that
    ends by a `StoreError` at its start, as it says, is started again; any other end is told to
    `broken`.
    """

    def __init__(
        self,
        name: str,
        plane: Line,
        store: Line,
        make: Callable[[Member], tuple[Daemon, ControlPlane]],
        broken: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.plane = plane
        self.store = store
        self.dead: list[Process] = []
        self._make = make
        self._broken = broken
        self._lives = 0
        self._live()

    def start_after(self, process: Process) -> None:
        """A new process with a new daemon over the same store, unless that was done already."""
        if self.process is process:
            self._live()

    def _live(self) -> None:
        self._lives += 1
        self.process = Process(f"{self.name}.{self._lives}")
        self.daemon, plane = self._make(self)

        async def connect() -> ControlPlane:
            await plane.fleet()
            return plane

        task = self.process.spawn(self.daemon.run(connect, asyncio.Event()))
        process = self.process
        task.add_done_callback(lambda done: self._ended(done, process), context=Context())

    def killed(self, process: Process) -> None:
        """One of its processes was ended on the spot."""
        self.dead.append(process)

    def _ended(self, task: asyncio.Task[None], process: Process) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, StoreError):
            self.killed(process)
            process.kill()
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self.start_after, process)
        else:
            self._broken("a daemon ended by itself", f"{process.name}: {error!r}")
