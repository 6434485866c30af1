"""The process platform with servers that misbehave, and what it keeps on disk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from draas.adapters.machine.server_process import start_time
from draas.control_plane.ports import Exit, LaunchError, Running
from draas.model.status import Health
from tests.contract_suites.platforms import DOCUMENT, launch
from tests.support.eventually import eventually
from tests.support.platform_worlds import TINY_SERVER, ProcessWorld
from tests.support.ports import free_port


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ProcessWorld]:
    world = ProcessWorld(tmp_path, shutdown_timeout=5.0)
    yield world
    await world.close()


def tiny(**behaviour: Any) -> dict[str, Any]:
    return {**DOCUMENT, "tiny": behaviour}


def slot_directory(tmp_path: Path) -> Path:
    return tmp_path / "instances" / "alpha" / "main"


def processes_of(tmp_path: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(tmp_path) in each for each in process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return [each for each in found if start_time(each) is not None]


async def test_a_slow_server_is_waited_for(world: ProcessWorld) -> None:
    running = await world.platform.start(launch(world, tiny(delay=0.7)))
    assert (await world.observer.observe(running)).health is Health.HEALTHY


async def test_a_server_that_never_gets_healthy_is_ended(
    world: ProcessWorld, tmp_path: Path
) -> None:
    world.platform = world.new_platform(start_timeout=1.0)
    with pytest.raises(LaunchError, match=r"not ready within 1 s: GET /health answers 503") as late:
        await world.platform.start(
            launch(world, tiny(unhealthy=True, stubborn=True, child="forked"))
        )
    assert late.value.exit_code is None

    async def is_gone() -> bool:
        return processes_of(tmp_path) == []

    await eventually(is_gone, within=20)
    await child_is_gone(tmp_path)


async def test_a_stranger_on_the_port_is_never_ready(world: ProcessWorld, tmp_path: Path) -> None:
    world.platform = world.new_platform(start_timeout=1.0)
    with pytest.raises(LaunchError, match="answered by another server, of instance 'intruder'"):
        await world.platform.start(launch(world, tiny(**{"as": "intruder"})))
    assert processes_of(tmp_path) == []


async def test_output_beyond_a_pipe_blocks_nobody(world: ProcessWorld, tmp_path: Path) -> None:
    await world.platform.start(launch(world, tiny(chatty=2_000_000)))
    assert (slot_directory(tmp_path) / "server.log").stat().st_size > 2_000_000


async def test_logs_are_rotated_while_it_runs(world: ProcessWorld, tmp_path: Path) -> None:
    world.platform = world.new_platform(log_max_bytes=10_000, log_backups=2, rotation_interval=0.05)
    running = await world.platform.start(launch(world, tiny(chatty=50_000)))
    directory = slot_directory(tmp_path)

    async def rotated() -> bool:
        return (directory / "server.log").stat().st_size <= 10_000

    await eventually(rotated)
    assert (directory / "server.log.1").stat().st_size == 10_000
    await world.observer.observe(running)

    async def goes_on() -> bool:
        return b"GET /health" in (directory / "server.log").read_bytes()

    await eventually(goes_on)
    assert b"\0" not in (directory / "server.log").read_bytes()


async def test_a_graceful_server_ends_by_itself(world: ProcessWorld, tmp_path: Path) -> None:
    await world.platform.start(launch(world))
    await world.platform.stop("alpha", "main")
    assert "interrupted" in (slot_directory(tmp_path) / "server.log").read_text()


async def test_a_stubborn_server_is_killed_with_its_children(
    world: ProcessWorld, tmp_path: Path
) -> None:
    world.platform = world.new_platform(shutdown_timeout=0.2)
    await world.platform.start(launch(world, tiny(stubborn=True, child="spawned")))
    assert await world.platform.stop("alpha", "main") is True
    assert processes_of(tmp_path) == []
    await child_is_gone(tmp_path)


@pytest.mark.parametrize(
    ("adopted", "child"),
    [
        pytest.param(False, "forked", id="own child, forked"),
        pytest.param(False, "spawned", id="own child, spawned without environment"),
        pytest.param(True, "forked", id="adopted, forked"),
    ],
)
async def test_a_crash_takes_the_servers_children_along(
    world: ProcessWorld, tmp_path: Path, adopted: bool, child: str
) -> None:
    running = await world.platform.start(launch(world, tiny(child=child)))
    if adopted:
        await world.restart_control_plane()
        assert await world.platform.adopt(None, "alpha", "main") == running
    assert start_time(child_of(tmp_path)) is not None
    await world.crash(running)
    await child_is_gone(tmp_path)


async def test_the_last_words_of_a_failure_have_no_secrets(world: ProcessWorld) -> None:
    document = {
        "sources": [
            {"kind": "postgres", "id": "pg", "password": "hunter 22", "url": "pg://u:s3cr3t@h/d"}
        ],
        "tiny": {"exitCode": 7, "say": "cannot log in with hunter 22 or s3cr3t at h"},
    }
    with pytest.raises(LaunchError, match="exit code 7") as failed:
        await world.platform.start(launch(world, document))
    assert failed.value.exit_code == 7
    assert failed.value.log[-1] == "cannot log in with *** or *** at h"


async def test_the_last_words_are_of_this_launch(world: ProcessWorld) -> None:
    for said in ("first", "second"):
        with pytest.raises(LaunchError) as failed:
            await world.platform.start(launch(world, tiny(exitCode=1, say=said)))
    assert failed.value.log[-1] == "second"
    assert "first" not in failed.value.log


async def test_what_a_server_gets(
    world: ProcessWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUST_LOG", "trace")
    monkeypatch.setenv("A_REFERENCE", "kept")
    wanted = launch(world)
    running = await world.platform.start(wanted)
    directory = slot_directory(tmp_path)
    process = psutil.Process(running.process_id)
    given = process.environ()
    assert "RUST_LOG" not in given
    assert given["A_REFERENCE"] == "kept"
    assert (given["DRAAS_INSTANCE_ID"], given["DRAAS_SLOT"]) == ("alpha", "main")
    assert process.cwd() == str(directory)
    assert os.getsid(running.process_id) == running.process_id
    assert process.cmdline()[-4:] == [
        "--config",
        str(directory / "config.json"),
        "--port",
        str(wanted.port),
    ]
    document = json.loads((directory / "config.json").read_text())
    assert (document["id"], document["host"], document["port"]) == (
        "alpha",
        "127.0.0.1",
        wanted.port,
    )
    modes = {path.name: path.stat().st_mode & 0o777 for path in (directory, *directory.iterdir())}
    assert modes == {"main": 0o700, "config.json": 0o600, "server.log": 0o600}


async def test_a_cancelled_start_leaves_nothing(world: ProcessWorld, tmp_path: Path) -> None:
    starting = asyncio.create_task(world.platform.start(launch(world, tiny(delay=60))))

    async def spawned() -> bool:
        return bool(processes_of(tmp_path))

    await eventually(spawned)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert processes_of(tmp_path) == []


async def test_a_recycled_number_is_left_alone(world: ProcessWorld) -> None:
    stranger = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=subprocess.PIPE
    )
    try:
        known = Running("alpha", "main", stranger.pid, 1.0, "127.0.0.1", free_port())
        assert await world.platform.adopt(known, "alpha", "main") is None
        assert await world.platform.stop("alpha", "main") is False
        assert start_time(stranger.pid) is not None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_another_fleet_is_none_of_ours(world: ProcessWorld, tmp_path: Path) -> None:
    other = ProcessWorld(tmp_path / "other")
    running = await other.platform.start(launch(other))
    assert await world.platform.adopt(None, "alpha", "main") is None
    assert start_time(running.process_id) is not None
    await other.close()


CONTROL_PLANE = """
import asyncio, sys
from pathlib import Path
from tests.contract_suites.platforms import launch
from tests.support.platform_worlds import ProcessWorld

async def main():
    world = ProcessWorld(Path(sys.argv[1]))
    print((await world.platform.start(launch(world))).process_id, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
async def test_servers_outlive_the_control_plane(
    world: ProcessWorld, tmp_path: Path, end: signal.Signals
) -> None:
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONTROL_PLANE, str(tmp_path), stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    process_id = int(await first.stdout.readline())
    first.send_signal(end)
    await first.wait()
    adopted = await world.platform.adopt(None, "alpha", "main")
    assert adopted is not None
    assert adopted.process_id == process_id
    assert (await world.observer.observe(adopted)).health is Health.HEALTHY
    assert await world.platform.stop("alpha", "main") is True
    assert start_time(process_id) is None


async def test_on_uvloop_too(tmp_path: Path) -> None:
    async def scenario() -> list[Exit]:
        world = ProcessWorld(tmp_path)
        exits: list[Exit] = []
        world.platform.watch(exits.append)
        running = await world.platform.start(launch(world))
        await world.crash(running)

        async def told() -> bool:
            return bool(exits)

        await eventually(told)
        await world.close()
        return exits

    exits = await asyncio.to_thread(uvloop.run, scenario())
    assert [each.exit_code for each in exits] == [-signal.SIGKILL]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"command": ("/nowhere/drasi-server",)}, "Process:ExecutablePath", id="exe"),
        pytest.param({"plugins_directory": "/nowhere"}, "Process:PluginsDirectory", id="plugins"),
    ],
)
async def test_a_platform_that_cannot_run_says_why(
    world: ProcessWorld, options: dict[str, Any], reason: str
) -> None:
    world.platform = world.new_platform(**options)
    assert reason in (world.platform.unavailable() or "")
    with pytest.raises(LaunchError, match=reason):
        await world.platform.start(launch(world))


async def test_plugins_are_passed_on(world: ProcessWorld, tmp_path: Path) -> None:
    # The tiny server knows no plugins: it refuses the argument, and says which.
    world.platform = world.new_platform(plugins_directory=str(tmp_path), command=TINY_SERVER)
    with pytest.raises(LaunchError, match="exit code 2") as refused:
        await world.platform.start(launch(world))
    assert f"--plugins-dir {tmp_path}" in refused.value.log[-1]


def child_of(tmp_path: Path) -> int:
    return int((slot_directory(tmp_path) / "child.pid").read_text())


async def child_is_gone(tmp_path: Path) -> None:
    child = child_of(tmp_path)

    async def gone() -> bool:
        return start_time(child) is None

    await eventually(gone)
