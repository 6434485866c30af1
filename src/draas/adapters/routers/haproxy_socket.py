"""Asks a running HAProxy, over the socket of its master process."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from draas.control_plane.router import RouterError

SOCKET: Final = "master.sock"

LIVE_SECONDS = 10.0
_ONCE_SECONDS = 2.0
_BUSY = "Can't connect to the target CLI"
_POLL_SECONDS = 0.02


class MasterSocket:
    """A client of the master; what does not answer is `RouterError`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def ask(self, command: str, worker: int | None = None) -> str:
        """What the master, or one of its workers, answers to a command that may be repeated.

        Asked again for ten seconds: a master that reloads, or is started anew, drops questions,
        and a worker that is about to end takes none. Of one that has ended the master says so.
        """
        target = "" if worker is None else f"@!{worker} "
        reason = "no answer"
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                while True:
                    try:
                        async with asyncio.timeout(_ONCE_SECONDS):
                            answer = await self._exchange(f"{target}{command}\n")
                    except OSError as error:
                        reason = str(error) or "no answer"
                    else:
                        if not answer.startswith(_BUSY):
                            return answer
                        reason = answer
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RouterError(f"HAProxy does not answer for {LIVE_SECONDS:g} s: {reason}") from None

    async def reload(self) -> None:
        """Have a new worker take over with the present file; raises `RouterError` if it is bad."""
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                answer = await self._exchange("reload\n")
        except (OSError, TimeoutError) as error:
            raise RouterError(f"HAProxy did not reload: {error}") from error
        if not answer.startswith("Success=1"):
            raise RouterError(f"HAProxy refused its configuration: {answer[-300:]}")

    async def workers(self) -> list[int]:
        """The process ids of the workers, the one that takes new connections first."""
        lines = (line.split() for line in (await self.ask("show proc")).splitlines())
        return [int(words[0]) for words in lines if words[1:2] == ["worker"]]

    async def until_ready(self) -> None:
        """Return once a worker answers; raises `RouterError` after ten seconds."""
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                while True:
                    for worker in (await self.workers())[:1]:
                        if "Version:" in await self.ask("show info", worker):
                            return
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RouterError(f"HAProxy is not ready after {LIVE_SECONDS:g} s") from None

    async def _exchange(self, line: str) -> str:
        # Through a descriptor: the path of a socket may have no more than 107 characters.
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            reader, writer = await asyncio.open_unix_connection(
                f"/proc/self/fd/{folder}/{SOCKET}", limit=1 << 24
            )
        finally:
            os.close(folder)
        try:
            writer.write(line.encode())
            writer.write_eof()
            return (await reader.read()).decode(errors="replace").strip()
        finally:
            writer.close()
