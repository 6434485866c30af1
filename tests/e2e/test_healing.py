"""The promises of the product, on real processes: change, tamper, kill, stop, fail."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from draas.decide.compare import compare_observed
from draas.model.configuration import canonical, from_snapshot
from tests.e2e.world import World, world
from tests.support.eventually import eventually
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(180)


async def _rows(made: World, port: int, query: str) -> list[dict[str, object]]:
    url = f"http://127.0.0.1:{port}/api/v1/queries/{query}/results"
    answer = await made._request("GET", url, None, 200)
    rows: list[dict[str, object]] = answer["data"]
    return rows


async def test_a_patched_port_is_listened_on(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        port = free_port()
        operation = {"op": "replace", "path": "/serverConfiguration/port", "value": port}
        before = await made.metric("reconciliation_success_total")
        await made.patch("test", operation)
        await eventually(lambda: made.settled("test", port), within=20)
        await eventually(lambda: _succeeded(made, "test"), within=20)
        began, ended = await made.audit("test")
        assert began["outcome"] == "started" and "stop" in began["plan"]
        assert ended["action"] == "Reconciled using Restart strategy"
        assert ended["summary"][0].endswith(f"→ {port}")
        assert ended["differences"][0]["path"] == "port"

        async def counted() -> bool:
            return await made.metric("reconciliation_success_total") == before + 1

        await eventually(counted, within=20)
        assert await made.metric('reconciliation_drift_detected_total{kind="configuration"}') == 1


async def _succeeded(made: World, instance_id: str) -> bool:
    return (await made.outcomes(instance_id))[-1:] == ["succeeded"]


async def test_a_patched_query_is_seen_in_the_engine_s_results(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        port = (await made.configuration("test"))["port"]
        text = "MATCH (c:Counter) RETURN c.value AS answer"
        await made.patch("test", {"op": "replace", "path": "/queries/0/queryText", "value": text})

        async def answered() -> bool:
            return any("answer" in str(row) for row in await _rows(made, port, "q"))

        await eventually(answered, within=30)
        await eventually(lambda: _succeeded(made, "test"))
        assert (await made.audit("test"))[-1]["summary"] == ["Query q: query changed"]


async def test_a_query_deleted_on_the_server_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        port = (await made.configuration("test"))["port"]
        base = f"http://127.0.0.1:{port}/api/v1"
        await made.delete_components(port)
        await eventually(lambda: _succeeded(made, "test"), within=20)
        story = await made.audit("test")
        assert "observed" in story[0]["driftKinds"]
        assert "Queries count: 0 → 1" in story[0]["summary"]
        snapshot = await made._request("GET", f"{base}/instances/test/snapshot", None, None)
        assert "q" in str(snapshot["queries"])


async def test_a_killed_process_is_back_and_audited_as_a_crash(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        killed = await made.process_of("test")
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: _replaced(made, "test", killed), within=30)
        await eventually(lambda: _succeeded(made, "test"))
        assert "crash" in (await made.audit("test"))[0]["cause"]


async def test_a_killed_process_that_is_killed_again_while_it_is_verified(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        for _ in range(2):
            killed = await made.process_of("test")
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda killed=killed: _again(made, killed), every=0.01)  # type: ignore[misc]
        await eventually(lambda: _succeeded(made, "test"), within=20)
        assert "rolled-back" not in await made.outcomes("test")
        state = (await made.ask_daemon("/api/reconciliation/instances/test"))["state"]
        assert state["quarantine"] is None and state["drift"]["verdict"] == "in-sync"


async def _again(made: World, killed: int) -> bool:
    found = await made.ask("GET", "/api/status/test/status", None, 200)
    return found["processId"] not in (None, str(killed)) and await made.settled("test")


async def test_a_port_of_another_instance_is_refused_with_its_name(tmp_path: Path) -> None:
    async with world(tmp_path, daemon=False) as made:
        await made.create("first")
        port = (await made.configuration("first"))["port"]
        body = {"id": "late", "name": "late", "configuration": {"port": port}}
        await made.ask("POST", "/api/servers/instances", body, 201)
        refused = await made.ask("POST", "/api/servers/instances/late/start", None, 500)
        assert "instance 'first' has port" in refused["detail"]
        assert refused["detail"].count("'late'") == 1


async def test_a_kind_that_no_server_has_is_refused_before_anything_is_stopped(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, daemon=False) as made:
        await made.create("test")
        process = await made.process_of("test")
        path = "/api/configuration/instances/test"
        operation = {"op": "replace", "path": "/sources/0/kind", "value": "moc"}
        refused = await made.ask("PATCH", path, [operation], 422)
        assert [fault["path"] for fault in refused["errors"]] == ["sources[s].kind"]
        assert "did you mean 'mock'" in refused["errors"][0]["message"]
        assert (await made.instance("test"))["generation"] == 1
        assert await made.process_of("test") == process
        waiting = {"sources": [{"id": "pg", "kind": "postgres", "password": "hunter2"}]}
        body = {"id": "waits", "name": "waits for a plugin", "configuration": waiting}
        await made.ask("POST", "/api/servers/instances", body, 201)
        await made.patch("waits", {"op": "add", "path": "/sources/0/database", "value": "shop"})
        refused = await made.ask("POST", "/api/servers/instances/waits/start", None, 422)
        assert [fault["path"] for fault in refused["errors"]] == ["sources[pg].kind"]
        assert "postgres" in refused["detail"] and "hunter2" not in str(refused)
        assert (await made.instance("waits"))["status"] == "Created"


async def _replaced(made: World, instance_id: str, killed: int) -> bool:
    """Another process serves it; between the two there is none, and it says so."""
    found = await made.ask("GET", f"/api/status/{instance_id}/status", None, 200)
    return found["processId"] not in (None, str(killed)) and await made.settled(instance_id)


async def test_a_stopped_server_stays_stopped_also_after_a_patch(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("stopped")
        await made.create("witness")
        await made.ask("POST", "/api/servers/instances/stopped/stop", None, 200)
        for name in ("stopped", "witness"):
            port = free_port()
            await made.patch(name, {"op": "replace", "path": "/port", "value": port})
        await eventually(lambda: made.settled("witness"), within=30)
        assert (await made.instance("stopped"))["status"] == "Stopped"
        assert len(made.servers()) == 1
        assert await made.audit("stopped") == []


async def test_a_daemon_killed_and_started_again_restarts_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        names = [f"i{number}" for number in range(20)]
        await asyncio.gather(*(made.create(name) for name in names))
        before = {name: await made.process_of(name) for name in names}
        await made.daemon.end(signal.SIGKILL)
        await made.daemon.start()
        await eventually(made.ready)
        await eventually(lambda: _cycles(made, 1))
        assert {name: await made.process_of(name) for name in names} == before
        assert (await made.ask_daemon("/api/reconciliation/audit"))["entries"] == []


async def _cycles(made: World, count: int) -> bool:
    return await made.metric("reconciliation_cycles_total") >= count


async def test_a_daemon_killed_between_stop_and_start_brings_it_back(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await made.create("test")
        port = free_port()
        await made.patch("test", {"op": "replace", "path": "/port", "value": port})

        async def stopped() -> bool:
            return (await made.instance("test"))["status"] == "Stopped"

        await eventually(stopped, every=0.01)
        await made.daemon.end(signal.SIGKILL)
        assert made.servers() == []
        await made.daemon.start()
        await eventually(lambda: made.settled("test", port), within=30)
        await eventually(lambda: _succeeded(made, "test"))
        assert await made.outcomes("test") == ["started", "succeeded"]


async def test_bad_configurations_end_with_the_last_good_ones(tmp_path: Path) -> None:
    async with world(tmp_path, daemon=False) as made:
        made.daemon = made.another_daemon("--Reconciliation:PollingInterval=00:00:01")
        await made.daemon.start()
        names = [f"i{number:02}" for number in range(20)]
        await asyncio.gather(*(made.create(name) for name in names))
        taken = socket.create_server(("127.0.0.1", 0))
        bad, good = names[:5], names[5:]
        for name in bad:
            value = taken.getsockname()[1]
            await made.patch(name, {"op": "replace", "path": "/port", "value": value})
        ports = {name: free_port() for name in good}
        for name, port in ports.items():
            await made.patch(name, {"op": "replace", "path": "/port", "value": port})

        async def others_done() -> bool:
            return all([await made.settled(name, port) for name, port in ports.items()])

        await eventually(others_done, within=60)

        async def rolled_back() -> bool:
            return all([(await made.outcomes(n))[-1] == "rolled-back" for n in bad])

        await eventually(rolled_back, within=30)
        processes = {name: await made.process_of(name) for name in bad}
        cycles = await made.metric("reconciliation_cycles_total")
        await eventually(lambda: _cycles(made, int(cycles) + 5), within=30)
        for name in bad:
            found = await made.instance(name)
            assert found["status"] == "Running"
            assert found["appliedGeneration"] == 1 == found["lastGoodGeneration"]
            assert await made.process_of(name) == processes[name], "no further restart"
            began, ended = await made.audit(name)
            assert ended["operationId"] == began["operationId"]
            assert ended["quarantinedDigest"] == found["desiredDigest"]
            assert str(taken.getsockname()[1]) in ended["error"]
        taken.close()


async def test_unknown_properties_and_large_documents_survive(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        port, changed = free_port(), free_port()
        document = _large(port)
        body = {"id": "big", "name": "big", "configuration": document}
        await made.ask("POST", "/api/server/instances", body, 201)
        await made.ask("POST", "/api/server/instances/big/start", None, 200)
        await made.patch("big", {"op": "replace", "path": "/port", "value": changed})
        await eventually(lambda: made.settled("big", changed), within=60)
        await eventually(lambda: _succeeded(made, "big"), within=60)
        process = await made.process_of("big")
        stored = await made.configuration("big")
        for program in (made.daemon, made.control_plane):
            await program.end(signal.SIGKILL)
        for program in (made.control_plane, made.daemon):
            await program.start()
        await eventually(made.ready, within=30)
        assert await made.process_of("big") == process
        assert await made.configuration("big") == stored
        for spelling in ("servers", "server"):
            path = f"/api/{spelling}/instances/big"
            assert (await made.ask("GET", path, None, 200))["status"] == "Running"
            server = await made.ask("GET", f"{path}/configuration/server", None, 200)
            assert server["port"] == changed
        assert canonical({**document, "port": changed, "ServerConfiguration": {}}) == {
            name: value for name, value in stored.items() if name not in ("host", "logLevel")
        }
        url = f"http://127.0.0.1:{changed}/api/v1/instances/big/snapshot"
        running = from_snapshot(await made._request("GET", url, None, 200))
        assert compare_observed(running, stored).summary == ()
        assert await made.outcomes("big") == ["started", "succeeded"]


def _large(port: int) -> dict[str, Any]:
    """Three hundred components in several spellings, each with properties that nobody knows."""
    odd = {"futureKnob": {"Deep": [1, None]}, "odd_Key": [{"x": 1.5}]}
    return {
        "ServerConfiguration": {"Port": port},
        "Sources": [
            {"Id": f"s{n}", "kind": "mock", "intervalMs": 60_000, **odd} for n in range(100)
        ],
        "queries": [
            {
                "id": f"q{n}",
                "QueryText": f"MATCH (g:Generic) WHERE g.value > {n} RETURN g.value AS value",
                "queryLanguage": "Cypher",
                "sources": [{"SourceId": f"s{n}"}],
            }
            for n in range(100)
        ],
        "Reactions": [
            {"id": f"r{n}", "Kind": "log", "Queries": [f"q{n}"], **odd} for n in range(100)
        ],
    }
