"""Asks the included server to lead, to follow, or to tell what its sources have brought."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from draas.adapters.machine.ports import reachable
from draas.contract.drasi_server import instance_path
from draas.contract.slots import Followed
from draas.control_plane.handover import HandoverError, NoHandoverError
from draas.control_plane.ports import Running

_LONGEST = 60.0
"""Seconds that a server gets to finish what it has under way before it gives up the lead."""
_QUICK = 5.0
_MAX_BYTES = 8 * 1024 * 1024


class HandoverClient:
    """`Handover` over a server's own routes; every call is a connection of its own."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def status(self, running: Running) -> Followed:
        """See `Handover.status`."""
        body = await self._ask(running, "GET", "handover", within=_QUICK)
        try:
            return msgspec.convert(body, Followed)
        except msgspec.ValidationError as error:
            raise HandoverError(f"its hand-over status makes no sense: {error}") from error

    async def seal(self, leader: Running, successor: Running | None) -> int:
        """See `Handover.seal`."""
        wanted = {"successor": _url(successor)} if successor else {}
        body = await self._ask(leader, "POST", "handover/seal", wanted)
        sequence = body.get("sequence") if isinstance(body, dict) else None
        if type(sequence) is not int:
            raise HandoverError("it was sealed, and does not say at which change")
        return sequence

    async def unseal(self, leader: Running) -> None:
        """See `Handover.unseal`."""
        await self._ask(leader, "POST", "handover/unseal", {})

    async def settle(self, follower: Running, sequence: int) -> None:
        """See `Handover.settle`."""
        await self._ask(follower, "POST", "handover/settle", {"sequence": sequence})

    async def promote(self, follower: Running, sequence: int | None) -> None:
        """See `Handover.promote`."""
        await self._ask(follower, "POST", "handover/promote", {"sequence": sequence})

    async def follow(self, sealed: Running, leader: Running) -> None:
        """See `Handover.follow`."""
        await self._ask(sealed, "POST", "handover/follow", {"leader": _url(leader)})

    async def rows(self, running: Running, query: str) -> list[Any]:
        """See `Handover.rows`."""
        path = f"queries/{quote(query, safe='')}/results"
        found = await self._ask(running, "GET", path, within=_QUICK)
        if not isinstance(found, list):
            raise HandoverError(f"{path}: the answer is no list of rows")
        return found

    async def export(self, running: Running, path: Path) -> None:
        """Write what the server's sources have brought into a file that only its owner may read.

        The server takes no more changes from then on. One that hangs is given up after seconds:
        it may need as long as `_LONGEST` only once it has shown that it is there.

        Raises:
            HandoverError: it cannot tell; no file is left.
        """
        await self.status(running)
        await self._ask(running, "POST", "handover/seal", {"ending": True})
        fresh = path.with_suffix(".new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                url = URL(f"{_base(running)}/handover/elements", encoded=True)
                async with self._open().get(url) as response:
                    if response.status != 200:
                        raise HandoverError(f"its elements: answered {response.status}")
                    async for chunk in response.content.iter_chunked(256 * 1024):
                        file.write(chunk)
            fresh.replace(path)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise HandoverError(f"its elements: {type(error).__name__}") from error
        finally:
            fresh.unlink(missing_ok=True)

    async def close(self) -> None:
        """Release the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(
        self,
        running: Running,
        method: str,
        name: str,
        document: dict[str, Any] | None = None,
        *,
        within: float = _LONGEST,
    ) -> Any:
        try:
            async with self._open().request(
                method,
                URL(f"{_base(running)}/{name}", encoded=True),
                json=document,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=within),
            ) as response:
                body = msgspec.json.decode(await _whole(response) or b"{}")
        except TimeoutError as error:
            raise HandoverError(f"{name}: no answer within {within:g} s") from error
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            raise HandoverError(f"{name}: {type(error).__name__}") from error
        if response.status == 404 and name.startswith("handover"):
            raise NoHandoverError("its server knows of no hand-over")
        if response.status != 200:
            said = str(body.get("message", ""))[:300] if isinstance(body, dict) else ""
            raise HandoverError(f"{name} answered {response.status}: {said}")
        return body.get("data", body) if isinstance(body, dict) else body

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                timeout=aiohttp.ClientTimeout(total=_LONGEST),
            )
        return self._session


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """The body to its end; `OSError` if it is above the limit."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(256 * 1024):
        body += chunk
        if len(body) > _MAX_BYTES:
            raise OSError(f"the answer is above {_MAX_BYTES} bytes")
    return bytes(body)


def _url(running: Running) -> str:
    return f"http://{reachable(running.host)}:{running.port}"


def _base(running: Running) -> str:
    return _url(running) + instance_path(quote(running.instance_id, safe=""))
