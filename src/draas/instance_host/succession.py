"""When the pushes that wait at a host may go on: its role changed, or its successor leads."""

from __future__ import annotations

import asyncio

from draas.instance_host.peers import leads

POLL_SECONDS = 0.05


class Succession:
    """Watches a sealed host's successor, whoever promotes it; `leads` once that one does."""

    def __init__(self) -> None:
        self.leads = False
        self._turn = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    async def turn(self) -> None:
        """Return when it is time to look again where a push belongs."""
        await self._turn.wait()

    def begin_anew(self) -> None:
        """The host has another role now."""
        self.leads = False
        self._wake()

    def watch(self, successor: str) -> None:
        """Ask until the successor leads."""
        self._watch = asyncio.ensure_future(self._watched(successor))

    async def stop(self) -> None:
        """Ask no more."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def _watched(self, successor: str) -> None:
        while not self.leads:
            if await leads(successor):
                self.leads = True
                self._wake()
            else:
                await asyncio.sleep(POLL_SECONDS)

    def _wake(self) -> None:
        self._turn.set()
        self._turn = asyncio.Event()
