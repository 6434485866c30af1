"""The command line against real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from draas.cli.exit_codes import Code
from tests.e2e.fleets import DRAAS, daemon_alone, draas, processes_of, servers_of, up
from tests.support.eventually import eventually
from tests.support.ports import free_port

FIRST = "MATCH (c:Counter) RETURN c.value AS value"
SECOND = "MATCH (c:Counter) WHERE c.value > 1 RETURN c.value AS value"


def instance(instance_id: str, **keys: Any) -> dict[str, Any]:
    counter = {"type": "counter"}
    configuration = {
        "port": free_port(),
        "sources": [{"kind": "mock", "id": "in", "intervalMs": 500, "dataType": counter}],
        "queries": [
            {"id": "all", "query": FIRST, "autoStart": True, "sources": [{"sourceId": "in"}]}
        ],
        "reactions": [{"kind": "log", "id": "out", "queries": ["all"]}],
    }
    return {"id": instance_id, "labels": {"team": "a"}, "configuration": configuration, **keys}


async def test_a_fleet_is_made_changed_and_looked_at(tmp_path: Path) -> None:
    wanted = [instance("one"), instance("two", desiredRunState="Stopped", labels={})]
    text = json.dumps(wanted)
    async with up(tmp_path / "data") as fleet:
        assert "one would be created" in await fleet.ok("apply", "-f", "-", "--dry-run", stdin=text)
        assert json.loads(await fleet.ok("get", "-o", "json")) == []
        assert await fleet.ok("apply", "-f", "-", stdin=text) == "one created\ntwo created\n"
        assert await fleet.ok("apply", "-f", "-", stdin=text) == "one unchanged\ntwo unchanged\n"
        assert fleet.servers().keys() == {"one"}

        listed = json.loads(await fleet.ok("get", "-o", "json", "--label", "team=a"))
        assert [(each["id"], each["status"]) for each in listed] == [("one", "Running")]
        printed = await fleet.ok("get", "one", "-o", "yaml")
        assert await fleet.ok("apply", "-f", "-", stdin=printed) == "one unchanged\n"

        changed = await fleet.ok("patch", "one", "--set", f"queries[all].query={SECOND}")
        assert changed == "one configured (generation 2)\n"
        await fleet.ok("reconcile", "one", "--wait")
        assert (await fleet.draas("drift")).code == Code.OK
        for log in ("control-plane", "daemon"):
            first = (fleet.data / "logs" / f"{log}.log").read_text().split()[0]
            assert datetime.fromisoformat(first).tzinfo is UTC
        audit = json.loads(await fleet.ok("audit", "one", "-o", "json"))
        assert audit[0]["outcome"] == "succeeded"
        assert audit[0]["summary"] == ["Query all: query changed"]
        assert "The audit is intact" in await fleet.ok("audit", "--verify")
        lines = (await fleet.ok("audit", "-o", "ndjson")).splitlines()
        assert len(lines) >= len(audit)
        assert "Decision: in-sync" in await fleet.ok("explain", "one")

        wanted[0]["configuration"]["queries"][0]["query"] = SECOND
        wanted[0]["labels"] = {"team": "b"}
        moved = await fleet.ok("apply", "-f", "-", stdin=json.dumps(wanted[0]))
        assert moved == "one configured\n  ~ labels.team: a → b\n"
        assert len(json.loads(await fleet.ok("get", "-o", "json", "--label", "team=b"))) == 1

        wanted[0]["configuration"]["queries"][0]["query"] = FIRST
        back = await fleet.ok("apply", "-f", "-", stdin=json.dumps(wanted[0]))
        assert back == f"one configured\n  ~ queries[all].query: {SECOND} → {FIRST}\n"

        for bad, said in (
            (("--set", "port=99999"), "port: 99999 is out of range"),
            (("--set", "queries[none].query=x"), "there is no [none]; there are all"),
            (("-p", '[{"op":"remove","path":"/nothing"}]'), "no place to remove"),
        ):
            refused = await fleet.draas("patch", "one", *bad)
            assert (refused.code, refused.out) == (Code.FAILED, "")
            (line,) = refused.err.splitlines()
            assert said in line
        assert json.loads(await fleet.ok("get", "one", "-o", "json"))["generation"] == 3

        assert "two is Running" in await fleet.ok("start", "two")
        assert await fleet.ok("stop", "two") == "two is Stopped\n"
        assert (await fleet.draas("delete", "two")).code == Code.USAGE
        assert await fleet.ok("delete", "two", "--yes") == "two deleted\n"
        assert (await fleet.draas("get", "two")).code == Code.NOT_FOUND


async def test_drift_that_is_held_has_its_exit_codes_and_its_reason(tmp_path: Path) -> None:
    held = "--Reconciliation:ReconcileErrorInstances=false"
    async with up(tmp_path / "data", held) as fleet:
        await fleet.ok("apply", "-f", "-", stdin=json.dumps(instance("one")))
        os.kill(fleet.servers()["one"], signal.SIGKILL)

        async def drifts() -> bool:
            return (await fleet.draas("drift")).code == Code.DRIFT

        await eventually(drifts, within=20)
        assert (await fleet.draas("drift", "one")).code == Code.DRIFT
        explained = await fleet.ok("explain", "one")
        assert "✗ status: the instance is in Error" in explained
        held_by = await fleet.draas("reconcile", "one", "--wait")
        assert held_by.code == Code.CONFLICT
        assert "held by status" in held_by.err


async def test_the_demonstration_heals_and_the_next_run_goes_on_from_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = {"orders", "sensors", "alerts"}
    async with up(data, "--demo") as fleet:
        await fleet.told("Ctrl-C ends")
        said = fleet.output.read_text()
        assert "sensors: crash: " in said
        assert "orders: Query first-orders: query changed → Reconciled" in said
        assert f"{fleet.urls[0]}/docs" in said
        assert fleet.servers().keys() == names
        generations = await _generations(fleet)
        assert await fleet.end() == 0
        assert processes_of(data) == []
    async with up(data, "--demo") as fleet:
        await fleet.told("Ctrl-C ends")
        assert "See it heal" not in fleet.output.read_text()
        assert fleet.servers().keys() == names
        assert await _generations(fleet) == generations
        assert await fleet.end(signal.SIGTERM) == 0
        assert processes_of(data) == []


async def _generations(fleet: Any) -> dict[str, int]:
    found = json.loads(await fleet.ok("get", "-o", "json"))
    return {each["id"]: each["generation"] for each in found}


async def test_a_killed_process_comes_back_alone_and_servers_do_not_notice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with up(data) as fleet:
        await fleet.ok("apply", "-f", "-", stdin=json.dumps(instance("one")))
        server = fleet.servers()
        os.kill(fleet.child("daemon"), signal.SIGKILL)
        await fleet.told("The daemon ended unexpectedly (killed by SIGKILL)")
        await fleet.told("The daemon is back")
        os.kill(fleet.child("control-plane"), signal.SIGKILL)
        await fleet.told("The control plane is back")
        assert (await fleet.draas("get", "one")).code == Code.OK
        assert fleet.servers() == server
        for command in ("daemon", "control-plane"):
            second = await draas(command, "--data", str(data), "--port", "0")
            assert second.code == Code.FAILED
            assert str(data) in second.err.splitlines()[-1]

        fleet.process.kill()
        await fleet.process.wait()

        async def only_the_server_is_left() -> bool:
            return servers_of(data) == list(server.values())

        await eventually(only_the_server_is_left, within=20)


async def test_servers_are_left_running_when_asked_and_taken_over_next_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with up(data, "--leave-running") as fleet:
        await fleet.ok("apply", "-f", "-", stdin=json.dumps(instance("one")))
        server = fleet.servers()
        assert await fleet.end() == 0
        assert servers_of(data) == list(server.values())
        async with up(data) as second:
            assert (await second.draas("drift", "one")).code == Code.OK
            assert second.servers() == server
            assert await second.end() == 0


@pytest.mark.parametrize(
    ("command", "option"),
    [
        pytest.param(("up", "--daemon-port", "0"), "--control-plane-port", id="up"),
        pytest.param(("up", "--control-plane-port", "0"), "--daemon-port", id="up, daemon"),
        pytest.param(("control-plane",), "--port", id="control plane"),
        pytest.param(("daemon",), "--port", id="daemon"),
    ],
)
async def test_a_taken_port_is_one_line_before_anything_is_started(
    tmp_path: Path, command: tuple[str, ...], option: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        data = tmp_path / "data"
        done = await draas(*command, option, str(port), "--data", str(data))
    assert done.code == Code.FAILED
    (line,) = done.err.splitlines()
    assert f"port {port} on 127.0.0.1 is in use" in line
    assert option in line
    assert not data.exists()


async def test_up_that_is_ended_during_its_start_says_only_what_it_does(tmp_path: Path) -> None:
    data, ports = str(tmp_path / "data"), ("--control-plane-port", "0", "--daemon-port", "0")
    process = await asyncio.create_subprocess_exec(
        *(*DRAAS, "up", "--data", data, *ports), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    first = (await process.stdout.readline()).decode()
    assert first.startswith("Starting; data and logs are in ")
    process.send_signal(signal.SIGINT)
    rest = (await process.stdout.read()).decode()
    assert await process.wait() == 0
    assert rest.splitlines()[-1] == "Stopped."
    assert "daemon" not in rest and "refused" not in rest, rest


async def test_up_without_a_usable_store_stops_nothing_that_was_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = f"--Store=sqlite:///{tmp_path / 'file' / 'x.db'}"
    ports = ("--control-plane-port", "0", "--daemon-port", "0")
    done = await draas("up", "--data", str(tmp_path / "data"), *ports, store)
    assert (done.code, "the control plane did not start" in done.err) == (Code.FAILED, True)
    assert "daemon" not in done.out, done.out


@pytest.mark.parametrize("command", ["up", "control-plane", "daemon"])
async def test_bad_settings_are_a_line_each_and_exit_code_2(tmp_path: Path, command: str) -> None:
    (tmp_path / "appsettings.json").write_text('{"Reconcilation": {"MaxRetries": 3}}')
    done = await draas(
        command,
        *("--data", str(tmp_path / "data"), "--config-dir", str(tmp_path)),
        *("--Reconciliation:MaxRetries=many", "--Process:FirstPort", "0"),
    )
    assert done.code == Code.USAGE
    said = done.err
    assert "Reconcilation:MaxRetries (appsettings.json line 1): unknown key" in said
    if command != "control-plane":
        assert "Reconciliation:MaxRetries = 'many' (command line)" in said
    if command != "daemon":
        assert "Process:FirstPort = '0' (command line)" in said
    assert not (tmp_path / "data").exists()


async def test_up_listens_where_settings_say(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    (tmp_path / "appsettings.json").write_text(json.dumps({"Api": {"Port": ports[0]}}))
    given = ("--config-dir", str(tmp_path), f"--Management:Port={ports[1]}")
    checked = await draas("up", "--check-config", *given, "--data", str(tmp_path / "data"))
    assert checked.code == Code.OK
    shown = checked.out.splitlines()
    assert {f"Api:Port={ports[0]}", f"Management:Port={ports[1]}"} <= set(shown)
    assert (shown.count("Store="), shown[-1]) == (1, "settings are valid")
    with socket.create_server(("127.0.0.1", ports[1])):
        taken = await draas("up", *given, "--data", str(tmp_path / "data"))
    assert f"port {ports[1]} on 127.0.0.1 is in use" in taken.err


async def test_up_follows_its_own_control_plane_and_says_so(tmp_path: Path) -> None:
    other = "--ControlPlaneUrl=http://127.0.0.1:1"
    done = await draas("up", "--data", str(tmp_path / "data"), other)
    assert done.code == Code.USAGE
    assert "starts a control plane of its own" in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("command", "option"),
    [("control-plane", "--port"), ("daemon", "--port"), ("up", "--daemon-port")],
)
async def test_a_bad_port_is_told_as_any_bad_setting(command: str, option: str) -> None:
    done = await draas(command, "--check-config", option, "many")
    assert done.code == Code.USAGE
    (line,) = done.err.splitlines()
    assert ":Port = 'many' (command line): expected a whole number, from 0 to 65535" in line


@pytest.mark.parametrize(
    ("command", "line"),
    [
        pytest.param("control-plane", "Api:Port=1234", id="control plane"),
        pytest.param("daemon", "Management:Port=1234", id="daemon"),
    ],
)
async def test_settings_can_be_checked_without_a_start(command: str, line: str) -> None:
    given = ("--check-config", "--port", "1234", "--Logging:Format=json")
    done = await draas(command, *given, env={"Proces__FirstPort": "1"})
    assert done.code == Code.OK
    assert done.err == (
        f"draas {command}: environment variable Proces__FirstPort is not read; "
        "did you mean Process__FirstPort?\n"
    )
    assert line in done.out.splitlines()
    assert done.out.splitlines()[-1] == "settings are valid"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("get",), id="get"),
        pytest.param(("drift",), id="drift"),
        pytest.param(("audit", "-o", "json"), id="audit"),
        pytest.param(("start", "a", "b"), id="several"),
    ],
)
async def test_nobody_there_is_said_with_the_way_out(command: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = await draas("--control-plane", url, "--daemon", url, *command)
    assert (done.code, done.out) == (Code.UNREACHABLE, "")
    for line in done.err.splitlines():
        assert f"{url} does not answer: Connection refused; start it with `draas up`" in line


async def test_a_daemon_that_knows_nothing_is_never_in_sync(tmp_path: Path) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    async with daemon_alone(tmp_path, f"--ControlPlaneUrl={closed}") as url:
        fleet = await draas("--daemon", url, "drift", "-o", "json")
        assert (fleet.code, fleet.json) == (Code.UNKNOWN, [])
        assert "no complete picture" in fleet.err
        one = await draas("--daemon", url, "drift", "one")
        assert one.code == Code.UNREACHABLE
        assert closed in one.err
