"""The files that Envoy reads, from the change on disk until Envoy says that it is live."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from draas.adapters.routers.envoy_admin import EnvoyAdmin
from draas.adapters.routers.envoy_documents import Document
from draas.adapters.routers.envoy_listeners import TABLE
from draas.control_plane.router import RouterError

LIVE_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.01


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a file at once, never half written; only its owner may read it."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(json.dumps(document))
    fresh.replace(path)


class ResourceFile:
    """One file of named resources that the routes share, and that Envoy follows.

    `pack` makes the file of them; `statistics` begins the names by which Envoy tells what became
    of it. Changes that are made while another is on its way are published together.
    """

    def __init__(
        self,
        path: Path,
        statistics: str,
        admin: EnvoyAdmin,
        pack: Callable[[Iterable[Document]], Document],
    ) -> None:
        self._path = path
        self._statistics = statistics
        self._admin = admin
        self._pack = pack
        self._resources: dict[str, Document] = {}
        self._changes = 1
        self._published = 0
        self._written = 0
        self._version = ""
        self._lock = asyncio.Lock()

    def load(self, *, found: bool) -> None:
        """Begin with what is in the file, if Envoy was `found` with it, or with nothing."""
        self._resources = _unpacked(self._path) if found else {}
        self._changes += 1

    @property
    def rests(self) -> bool:
        """Whether it is empty, and Envoy knows."""
        return not self._resources and self._changes == self._published and not self._lock.locked()

    def of(self, prefix: str) -> dict[str, Document]:
        """The resources whose names begin with `prefix`, by name."""
        return {name: each for name, each in self._resources.items() if name.startswith(prefix)}

    def put(self, documents: Iterable[Document]) -> None:
        """Add resources, or replace those of the same names."""
        for document in documents:
            if self._resources.get(document["name"]) != document:
                self._resources[document["name"]] = document
                self._changes += 1

    def touch(self) -> None:
        """Have the file read again, also where nothing changed."""
        self._changes += 1

    def drop(self, names: Iterable[str]) -> None:
        """Take resources out."""
        for name in names:
            if self._resources.pop(name, None) is not None:
                self._changes += 1

    def write(self) -> str:
        """Write the file, unless it was since the last change; its version."""
        if self._written != self._changes:
            document = self._pack(self._resources.values())
            write(self._path, document)
            self._version = str(document["version_info"])
            self._written = self._changes
        return self._version

    async def publish(self) -> bool:
        """Write what changed and wait until Envoy has read it; whether it took all of it.

        Raises:
            RouterError: Envoy did not answer for ten seconds.
        """
        async with self._lock:
            changes = self._changes
            if changes == self._published:
                return True
            before = (await self._admin.subscription(self._statistics)).refused
            taken = await self._taken(self.write(), before)
            # What was refused is written again by whoever asks next, changed or not.
            self._published = changes if taken else 0
            self._written = self._written if taken else 0
            return taken

    async def _taken(self, version: str, before: int) -> bool:
        """Wait for a version; False once Envoy refused it. A new process counts from 0 again."""
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                while True:
                    try:
                        seen = await self._admin.subscription(self._statistics)
                    except RouterError:
                        before = 0
                    else:
                        if seen.version == version:
                            return True
                        if seen.refused > before:
                            return False
                        before = min(before, seen.refused)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise RouterError(
                f"Envoy did not take {self._path.name} within {LIVE_SECONDS:g} s"
            ) from None


def _unpacked(path: Path) -> dict[str, Document]:
    """The resources of a file by name; none where there is no such file."""
    try:
        resources = json.loads(path.read_bytes())["resources"]
        if [each["name"] for each in resources] == [TABLE]:
            resources = resources[0]["virtual_hosts"]
        return {each["name"]: {k: v for k, v in each.items() if k != "@type"} for each in resources}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
