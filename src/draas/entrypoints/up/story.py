"""What the daemon does, told on the terminal as it happens: the audit, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from draas.cli.text import printable
from draas.client.daemon import Reconciliation
from draas.client.port import ControlPlaneError

LOOK_EVERY = 0.5
NEWEST = 50


async def newest(daemon: Reconciliation) -> int:
    """The number of the newest entry; 0 in an empty audit."""
    entries = await daemon.audit(limit=1)
    return int(entries[0]["sequence"]) if entries else 0


async def follow(daemon: Reconciliation, tell: Callable[[str], None]) -> None:
    """Tell each entry once, from now on; never returns."""
    last: int | None = None
    while True:
        try:
            if last is None:
                last = await newest(daemon)
            for entry in reversed(await daemon.audit(limit=NEWEST)):
                if entry["sequence"] > last:
                    last = entry["sequence"]
                    tell(line(entry))
        except (ControlPlaneError, LookupError, TypeError):
            pass  # the daemon is away, which is told elsewhere
        await asyncio.sleep(LOOK_EVERY)


def line(entry: dict[str, Any]) -> str:
    """An entry in a line: `sensors: crash: … → Reconciled using Restart strategy in 1.2 s`."""
    why = "; ".join(entry["summary"]) or entry["cause"]
    took = entry["durationSeconds"]
    text = f"{entry['instanceId']}: {why + ' → ' if why else ''}{entry['action']}"
    return printable(text if took is None else f"{text} in {took:.1f} s")
