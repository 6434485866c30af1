"""What the daemon does, told on the terminal as it happens: the audit, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from draas.cli.text import printable
from draas.client.daemon import Entries, Reconciliation
from draas.client.port import ControlPlaneError

LOOK_EVERY = 0.5
NEWEST = 50


class Story:
    """Tells each entry of the audit once, from when it begins.

    `last` is the number of the newest entry that was told.
    """

    def __init__(self, daemon: Reconciliation, tell: Callable[[str], None]) -> None:
        self._daemon = daemon
        self._tell = tell
        self.last = 0
        self._healed: dict[str, int] = {}
        self._news = asyncio.Event()

    async def begin(self) -> None:
        """Skip what was there before."""
        entries = await self._daemon.audit(Entries(limit=1))
        self.last = int(entries[0]["sequence"]) if entries else 0

    async def follow(self) -> None:
        """Tell what comes; never returns."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                entries = await self._daemon.audit(Entries(limit=NEWEST))
            except ControlPlaneError:
                continue  # the daemon is away, which is told elsewhere
            for entry in reversed(entries):
                if entry["sequence"] > self.last:
                    self.last = entry["sequence"]
                    self._tell(line(entry))
                    if entry["outcome"] == "succeeded":
                        self._healed[entry["instanceId"]] = self.last
            self._news.set()

    async def until_healed(self, instance_id: str, since: int) -> None:
        """Wait until a success of the instance was told that is newer than entry `since`."""
        while self._healed.get(instance_id, 0) <= since:
            self._news.clear()
            await self._news.wait()


def line(entry: dict[str, Any]) -> str:
    """An entry in a line: `sensors: crash: … → Reconciled using Restart strategy in 1.2 s`."""
    why = "; ".join(entry["summary"]) or entry["cause"]
    took = entry["durationSeconds"]
    text = f"{entry['instanceId']}: {why + ' → ' if why else ''}{entry['action']}"
    return printable(text if took is None else f"{text} in {took:.1f} s")
