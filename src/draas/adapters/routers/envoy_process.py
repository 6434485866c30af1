"""The Envoy of one directory: its program, its files, its admin interface, its life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from draas.adapters.routers import envoy_documents as documents
from draas.adapters.routers.envoy_admin import SOCKET, EnvoyAdmin
from draas.adapters.routers.envoy_boot import boot
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
        self._boot = boot(
            SOCKET, str(directory / "clusters.json"), str(directory / "listeners.json")
        )
        self._process = SupervisedProcess(directory, self._argv())
        self._splits: dict[str, ResourceFile] = {}
        self.admin: Final = EnvoyAdmin(directory)
        self.clusters: Final = self._file("clusters", documents.CLUSTER, "cluster_manager.cds")
        self.listeners: Final = self._file("listeners", documents.LISTENER, "listener_manager.lds")

    @property
    def wanted(self) -> bool:
        """Whether it runs, or is about to run again."""
        return self._process.wanted

    def make_directories(self) -> None:
        """Make the directories, readable for their owner only."""
        for folder in (self._directory, self._directory / "routes"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)

    def split_path(self, key: str) -> Path:
        """The file that says how the requests of a route are split."""
        return self._directory / "routes" / f"{key}.json"

    def split(self, key: str) -> ResourceFile:
        """The same, as Envoy follows it."""
        if key not in self._splits:
            prefix = f"http.{documents.STATISTICS}.rds.{key}"
            self._splits[key] = self._file(f"routes/{key}", documents.ROUTES, prefix)
            self._splits[key].load(found=self._process.wanted)
        return self._splits[key]

    def forget_split(self, key: str) -> None:
        """Remove the file of one route."""
        self._splits.pop(key, None)
        self.split_path(key).unlink(missing_ok=True)

    def keep_splits(self, keep: Collection[str]) -> None:
        """Remove the files of all routes but these."""
        for path in (self._directory / "routes").glob("*"):
            if path.suffix != ".json" or path.stem not in keep:
                path.unlink(missing_ok=True)
        self._splits = {key: split for key, split in self._splits.items() if key in keep}

    async def find(self) -> None:
        """Take over the Envoy that an earlier control plane left, with all that it has."""
        found = await self._process.adopt()
        self.clusters.load(found=found)
        self.listeners.load(found=found)

    async def start(self) -> None:
        """Have it run and serve; raises `RouterError` with its last words when it does not."""
        async with self._starting:
            fresh = not self._process.wanted
            if fresh:
                self.make_directories()
                write(self._directory / "boot.json", self._boot)
                self.clusters.write()
                self.listeners.write()
                self._process.start()
            try:
                async with asyncio.timeout(LIVE_SECONDS):
                    await self.admin.until_ready()
            except TimeoutError:
                if fresh:
                    await self._process.stop()
                raise RouterError(
                    f"Envoy is not ready after {LIVE_SECONDS:g} s; its last words are in "
                    f"{self._directory / 'server.log'}"
                ) from None

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

    def _file(self, name: str, kind: str, statistics: str) -> ResourceFile:
        return ResourceFile(self._directory / f"{name}.json", kind, statistics, self.admin)

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
