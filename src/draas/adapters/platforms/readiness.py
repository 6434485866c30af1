"""Is there an answer yet? One small request, cheap enough to be asked many times a second."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from draas.adapters.machine.ports import reachable
from draas.adapters.platforms.drasi_client import DrasiClient
from draas.adapters.platforms.server_report import Unobservable
from draas.control_plane.ports import Running

_POLL_SECONDS = 0.03
_WITHIN = 2.0


async def until_ready(
    running: Running, exited: asyncio.Future[int | None], client: DrasiClient, within: float
) -> str | None:
    """Wait until the slot's own server answers; why it does not, or `None` once it does.

    Ends early when the process has `exited`. A stranger's answer on the port never counts.
    """
    reasons = ["nothing answers"]
    ready = asyncio.create_task(_answered(running, client, reasons))
    try:
        either: set[asyncio.Future[Any]] = {ready, exited}
        await asyncio.wait(either, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            return f"the server ended with exit code {exited.result()} before it was ready"
        if ready.done():
            ready.result()
            return None
        return f"the server was not ready within {within:g} s: {reasons[-1]}"
    finally:
        ready.cancel()


async def _answered(running: Running, client: DrasiClient, reasons: list[str]) -> None:
    while True:
        status = await health_status(running.host, running.port)
        if status == 200:
            try:
                await client.snapshot(running)
            except Unobservable as stranger:
                reasons[:] = [stranger.reason]
            else:
                return
        elif status is not None:
            reasons[:] = [f"GET /health answers {status}"]
        await asyncio.sleep(_POLL_SECONDS)


async def health_status(host: str, port: int) -> int | None:
    """The status that `GET /health` answers, or `None` without an HTTP answer within 2 s."""
    request = f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(reachable(host), port, limit=4096)
            try:
                writer.write(request.encode("latin-1", "replace"))
                line = await reader.readline()
            finally:
                with contextlib.suppress(OSError):
                    writer.close()
    except (OSError, ValueError, TimeoutError):
        return None
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    return int(code) if version.startswith(b"HTTP/1.") and code.isdigit() else None
