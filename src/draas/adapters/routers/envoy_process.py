"""The Envoy of one directory: its program, its files, its admin interface, its life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from draas.adapters.routers import envoy_listeners as listeners
from draas.adapters.routers.envoy_admin import SOCKET, EnvoyAdmin, SharedAnswer
from draas.adapters.routers.envoy_boot import boot
from draas.adapters.routers.envoy_clusters import CLUSTER
from draas.adapters.routers.envoy_documents import Document, discovery
from draas.adapters.routers.envoy_files import LIVE_SECONDS, ResourceFile, write
from draas.adapters.routers.supervised import SupervisedProcess
from draas.control_plane.router import RouterError

_CONNECTION_SECONDS: Final = 600
"""How long connections of a closed listener may last."""


def installed() -> str:
    """The path of the Envoy that was installed with the project, or an empty text."""
    spec = find_spec("envoy")
    places = [] if spec is None else spec.submodule_search_locations or []
    found = [Path(place) / "_bin" / "envoy" for place in places]
    return next((str(path) for path in found if path.is_file()), "")


class EnvoyProcess:
    """One Envoy with its files in `directory`, started when it is first needed."""

    def __init__(self, directory: Path, program: str) -> None:
        self._directory = directory
        self._program = program
        self._starting = asyncio.Lock()
        self._started = SharedAnswer(self._start)
        self._boot = boot(
            SOCKET, str(directory / "clusters.json"), str(directory / "listeners.json")
        )
        self._process = SupervisedProcess(directory, self._argv())
        self.admin: Final = EnvoyAdmin(directory)
        self.clusters: Final = self._file(
            "clusters", "cluster_manager.cds", partial(discovery, CLUSTER)
        )
        self.splits: Final = self._file(
            "splits", f"http.{listeners.STATISTICS}.rds.{listeners.TABLE}", listeners.table
        )
        self.listeners: Final = self._file(
            "listeners", "listener_manager.lds", partial(discovery, listeners.LISTENER)
        )

    @property
    def table_path(self) -> str:
        """The file of all splits, which every listener follows."""
        return str(self._directory / "splits.json")

    @property
    def wanted(self) -> bool:
        """Whether it runs, or is about to run again."""
        return self._process.wanted

    async def find(self) -> None:
        """Take over the Envoy that an earlier control plane left, with all that it has."""
        found = await self._process.adopt()
        for file in (self.clusters, self.splits, self.listeners):
            file.load(found=found)

    async def start(self) -> None:
        """Have it run and serve; raises `RouterError` with its last words when it does not."""
        await self._started.ask()

    async def rest(self) -> None:
        """End it where it has nothing to do: no listener, no cluster, no change on its way."""
        async with self._starting:
            if self.wanted and self.clusters.rests and self.listeners.rests:
                await self._process.stop()
                await self.admin.close()
                (self._directory / SOCKET).unlink(missing_ok=True)

    async def close(self) -> None:
        """Let go of it; it goes on."""
        self._process.release()
        await self.admin.close()

    async def _start(self) -> None:
        async with self._starting:
            fresh = not self._process.wanted
            if fresh:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._directory.chmod(0o700)
                write(self._directory / "boot.json", self._boot)
                for file in (self.clusters, self.splits, self.listeners):
                    file.write()
                self._process.start()
            try:
                await self._process.until(self.admin.until_ready(), LIVE_SECONDS, once=fresh)
            except RouterError:
                if fresh:
                    await self._process.stop()
                raise

    def _file(
        self, name: str, statistics: str, pack: Callable[[Iterable[Document]], Document]
    ) -> ResourceFile:
        return ResourceFile(self._directory / f"{name}.json", statistics, self.admin, pack)

    def _argv(self) -> list[str]:
        version = sha256(json.dumps(self._boot, sort_keys=True).encode()).hexdigest()[:12]
        return [
            self._program,
            "--config-path",
            str(self._directory / "boot.json"),
            # One that was started with another boot file is told by its arguments.
            "--service-node",
            f"draas-{version}",
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--drain-strategy",
            "immediate",
            "--drain-time-s",
            str(_CONNECTION_SECONDS),
            "--log-level",
            "warning",
        ]
