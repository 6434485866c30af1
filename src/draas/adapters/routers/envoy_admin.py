"""Asks a running Envoy, over the socket of its admin interface."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import aiohttp

from draas.adapters.routers.envoy_boot import ANY_TIME
from draas.control_plane.router import RouterError

SOCKET: Final = "admin.sock"

_POLL_SECONDS = 0.01
_SECONDS = 5.0
_WARMING = ".warming_state"
_T = TypeVar("_T")

Buckets = tuple[tuple[float | None, int], ...]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What Envoy made of a file: the version that is live, and how often it refused one."""

    version: str
    refused: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counters and gauges by name, and the buckets of histograms."""

    values: Mapping[str, Any]
    buckets: Mapping[str, Buckets]


class SharedAnswer(Generic[_T]):
    """One answer for all who ask while another is on its way; never older than the question."""

    def __init__(self, ask: Callable[[], Awaitable[_T]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._asked = 0
        self._answered: tuple[int, _T] | None = None

    async def ask(self) -> _T:
        """The answer to a question that is put now."""
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._answered is None or self._answered[0] < mine:
                upto = self._asked
                self._answered = (upto, await self._ask())
            return self._answered[1]


class EnvoyAdmin:
    """A client of the admin interface; what does not answer is `RouterError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._session: aiohttp.ClientSession | None = None
        self._descriptor = -1
        self._listeners = SharedAnswer(self._ask_listeners)
        self._warm = SharedAnswer(self._ask_warm)

    async def until_ready(self) -> None:
        """Return once it has read its first configuration and serves."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                if (await self._get_once("/ready")).strip() == b"LIVE":
                    return
            await asyncio.sleep(_POLL_SECONDS)

    async def subscription(self, prefix: str) -> Subscription:
        """What became of the file behind the statistics that begin with `prefix`."""
        values = (await self.statistics(f"{prefix}.")).values
        return Subscription(
            str(values.get(f"{prefix}.version_text", "")),
            values.get(f"{prefix}.update_rejected", 0) + values.get(f"{prefix}.update_failure", 0),
        )

    async def statistics(self, prefix: str) -> Statistics:
        """All statistics whose names begin with `prefix`."""
        return await self._matching(f"^{re.escape(prefix)}")

    async def listeners(self) -> frozenset[str]:
        """The names of the listeners that are open."""
        return await self._listeners.ask()

    async def until_warm(self, clusters: set[str]) -> None:
        """Return once the backends of all these clusters were looked at."""
        while True:
            if clusters <= await self._warm.ask():
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def refusal(self, listener: str) -> str | None:
        """Why a listener was refused, in Envoy's words."""
        pattern = quote(f"^{re.escape(listener)}$")
        answer = await self._json(f"/config_dump?resource=dynamic_listeners&name_regex={pattern}")
        for each in answer.get("configs", ()):
            if details := each.get("error_state", {}).get("details"):
                return str(details)
        return None

    async def close(self) -> None:
        """Let go of the socket."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            os.close(self._descriptor)

    def _open(self) -> aiohttp.ClientSession:
        # Through our descriptor: the path of a socket may have no more than 107 characters.
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        path = f"/proc/self/fd/{self._descriptor}/{SOCKET}"
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(path))

    async def _ask_listeners(self) -> frozenset[str]:
        answer = await self._json("/listeners?format=json")
        return frozenset(each["name"] for each in answer.get("listener_statuses", ()))

    async def _ask_warm(self) -> frozenset[str]:
        values = (await self._matching(rf"^cluster\..*\{_WARMING}$")).values
        return frozenset(
            name.removeprefix("cluster.").removesuffix(_WARMING)
            for name, warming in values.items()
            if not warming
        )

    async def _matching(self, pattern: str) -> Statistics:
        answer = await self._json(
            f"/stats?format=json&histogram_buckets=cumulative&filter={quote(pattern)}"
        )
        return _statistics(answer.get("stats", ()))

    async def _json(self, path: str) -> Any:
        try:
            return json.loads(await self._get(path))
        except ValueError as error:
            raise RouterError(f"Envoy's answer cannot be read: {error}") from error

    async def _get(self, path: str) -> bytes:
        """Asked again for five seconds: an Envoy that died is about to be back."""
        reason: Exception | None = None
        try:
            async with asyncio.timeout(_SECONDS):
                while True:
                    try:
                        return await self._get_once(path)
                    except (aiohttp.ClientError, OSError) as error:
                        reason = error
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RouterError(f"Envoy does not answer: {reason or 'too slow'}") from None

    async def _get_once(self, path: str) -> bytes:
        if self._session is None:
            self._session = self._open()
        async with self._session.get(f"http://envoy{path}") as answer:
            return await answer.read()


def _statistics(entries: Iterable[Mapping[str, Any]]) -> Statistics:
    values: dict[str, Any] = {}
    buckets: dict[str, Buckets] = {}
    for entry in entries:
        if "name" in entry:
            values[entry["name"]] = entry.get("value", 0)
        for each in entry.get("histograms", ()):
            buckets[each["name"]] = tuple(
                (bound if bound < ANY_TIME else None, bucket["cumulative"])
                for bucket in each["buckets"]
                for bound in [bucket["upper_bound"]]
            )
    return Statistics(values, buckets)
