"""An SQLite store belongs to one daemon at a time, whatever data directories there are."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.e2e.world import Program, free_port


def daemon(folder: Path, name: str) -> Program:
    return Program(
        folder / f"{name}.log",
        *("daemon", "--data", str(folder / name), "--port", str(free_port())),
        f"--Store=sqlite:///{folder / 'shared' / 'store.sqlite'}",
        "--ControlPlaneUrl=http://127.0.0.1:1",
    )


async def test_a_second_daemon_on_the_same_file_is_refused(tmp_path: Path) -> None:
    first, second = daemon(tmp_path, "first"), daemon(tmp_path, "second")
    try:
        await first.start()
        await second.spawn()
        async with asyncio.timeout(20):
            assert await second.ended() == 1
        said = second.log.read_text()
        assert "another process works with" in said and "PostgreSQL" in said
    finally:
        await first.end(signal.SIGKILL)
        await second.end(signal.SIGKILL)
