"""An SQLite store belongs to one process of a kind, whatever data directories there are."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.e2e.world import Program
from tests.support.ports import free_port

ELSEWHERE = "--ControlPlaneUrl=http://127.0.0.1:1"
COMMANDS = {"daemon": (ELSEWHERE,), "control-plane": ()}


def program(folder: Path, command: str, name: str) -> Program:
    return Program(
        folder / f"{name}.log",
        *(command, "--data", str(folder / name), "--port", str(free_port())),
        f"--Store=sqlite:///{folder / 'shared' / 'store.sqlite'}",
        *COMMANDS[command],
    )


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_second_one_on_the_same_file_is_refused(tmp_path: Path, command: str) -> None:
    first, second = (program(tmp_path, command, name) for name in ("first", "second"))
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


async def test_a_daemon_and_a_control_plane_may_share_a_file(tmp_path: Path) -> None:
    both = [program(tmp_path, command, command) for command in COMMANDS]
    try:
        for each in both:
            await each.start()
    finally:
        for each in both:
            await each.end(signal.SIGKILL)
