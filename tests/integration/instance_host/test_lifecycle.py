"""Starting, refusing to start, being configured by the environment, and writing the file back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from draas.model.configuration import from_snapshot, observable_digest
from tests.integration.instance_host.hosts import (
    ALL,
    Host,
    configuration,
    order,
    query,
    running,
    source,
    spawn,
    start_fails,
)
from tests.support.ports import free_port


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "holder",
    [
        pytest.param("api", id="own API"),
        pytest.param("source", id="http source"),
        pytest.param("reaction", id="sse reaction"),
    ],
)
async def test_a_taken_port_stops_the_start_and_is_named(
    tmp_path: Path, taken_port: int, holder: str
) -> None:
    document = configuration(sources=[source()], queries=[query("all", ALL)])
    sse = {"kind": "sse", "id": "live", "queries": ["all"], "host": "127.0.0.1"}
    document["reactions"] = [{**sse, "port": taken_port if holder == "reaction" else free_port()}]
    if holder == "api":
        document["port"] = taken_port
    if holder == "source":
        document["sources"][0]["port"] = taken_port
    output = await start_fails(tmp_path, document)
    assert f"127.0.0.1:{taken_port}" in output
    assert "in use" in output


REFUSED = [
    pytest.param({"colour": "red"}, "`colour`", id="unknown root key"),
    pytest.param({"logLevel": "loud"}, "logLevel", id="log level"),
    pytest.param({"port": "${UNSET_FOR_SURE}"}, "UNSET_FOR_SURE", id="unset variable"),
    pytest.param({"queries": [{"id": "q", "queryText": ALL}]}, "queryText", id="queryText"),
    pytest.param({"queries": [query("q", ALL, "no")]}, "'no'", id="unknown source"),
    pytest.param({"sources": [source(), source()]}, "used twice", id="duplicate id"),
    pytest.param({"sources": [source(kind="postgres")]}, "postgres", id="unknown source kind"),
    pytest.param(
        {"reactions": [{"id": "r", "kind": "pager"}]}, "--plugins-dir", id="unknown reaction kind"
    ),
    pytest.param(
        {"sources": [source()], "queries": [query("q", "MATCH nonsense")]}, "'q'", id="bad text"
    ),
    pytest.param(
        {"sources": [{"kind": "mock", "id": "m", "intervalMs": 0}]},
        "source 'm'.intervalMs: ",
        id="bad property of a source",
    ),
    pytest.param(
        {"reactions": [{"kind": "http", "id": "h", "baseUrl": ""}]},
        "reaction 'h'.baseUrl: ",
        id="bad property of a reaction",
    ),
]


@pytest.mark.parametrize(("keys", "named"), REFUSED)
async def test_a_bad_configuration_stops_the_start(
    tmp_path: Path, keys: dict[str, Any], named: str
) -> None:
    output = await start_fails(tmp_path, configuration(**keys))
    assert named in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("content", "named"),
    [
        pytest.param(None, "existing file", id="missing"),
        pytest.param("{", "neither JSON nor YAML", id="truncated"),
        pytest.param("[]", "must be an object", id="a list"),
        pytest.param('{"port": 1, "port": 2}', "the key `port` is used twice", id="twice in JSON"),
        pytest.param("port: 1\nport: 2", "the key `port` is used twice", id="twice in YAML"),
    ],
)
async def test_a_file_that_is_no_configuration_stops_the_start(
    tmp_path: Path, content: str | None, named: str
) -> None:
    config, output = tmp_path / "server.json", tmp_path / "out.txt"
    if content is not None:
        config.write_text(content)
    process = await spawn(config, output)
    assert await asyncio.wait_for(process.wait(), 20) == 1
    assert named in output.read_text()
    assert config.exists() == (content is not None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_before_the_host_serves_ends_it_quietly(
    tmp_path: Path, number: signal.Signals
) -> None:
    """It waits for its configuration, which never comes."""
    config, output = tmp_path / "server.json", tmp_path / "out.txt"
    os.mkfifo(config)
    process = await spawn(config, output)
    writer = await asyncio.to_thread(os.open, config, os.O_WRONLY)
    try:
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 20) == 0
        assert output.read_text() == ""
    finally:
        os.close(writer)


async def test_a_wrong_command_line_is_exit_code_2(tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    process = await spawn(tmp_path / "server.json", output, "--speed", "9")
    assert await asyncio.wait_for(process.wait(), 20) == 2
    assert "--speed" in output.read_text()


async def test_a_missing_plugins_directory_stops_the_start(tmp_path: Path) -> None:
    missing = tmp_path / "no-plugins"
    output = await start_fails(tmp_path, configuration(), "--plugins-dir", str(missing))
    assert str(missing) in output


async def test_an_empty_plugins_directory_is_fine(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    document = configuration()
    async with running(tmp_path, document, "--plugins-dir", str(tmp_path / "plugins")) as host:
        assert await host.do("GET", "/sources") == []


async def test_the_environment_is_used_but_not_shown(tmp_path: Path) -> None:
    secret = source(token={"kind": "EnvironmentVariable", "name": "SHOP_TOKEN"})
    port = secret["port"]
    secret["port"] = "${SHOP_SOURCE_PORT:-1}"
    document = configuration(sources=[secret], queries=[query("all", ALL)])
    env: dict[str, Any] = {"SHOP_SOURCE_PORT": str(port), "SHOP_TOKEN": "tok-123"}
    async with running(tmp_path, document, **env) as host:
        url = f"http://127.0.0.1:{port}/sources/orders/events"
        async with host.session.post(url, json=order("a", 1)) as response:
            assert response.status == 200
        await host.has_rows("all", {"id": "a", "price": 1})
        _, snapshot = await host.call("GET", "/snapshot")
        shown = snapshot["sources"][0]["properties"]
        assert shown["port"] == "${SHOP_SOURCE_PORT:-1}"
        assert shown["token"] == secret["token"]
    assert "tok-123" not in host.output.read_text()


async def test_references_stand_for_values_of_every_type(tmp_path: Path) -> None:
    resting = source("resting", autoStart="${UNSET_FOR_SURE:-false}")
    capacities = {"priorityQueueCapacity": "${SHOP_FIVE}", "outboxCapacity": "${SHOP_FIVE}"}
    waiting = query("waiting", ALL, "${SHOP_SOURCE}", autoStart="${UNSET_FOR_SURE:-false}")
    document = configuration(
        persistConfig="${SHOP_PERSISTS}",
        sources=[source(autoStart="${SHOP_YES}"), resting],
        queries=[query("all", ALL, enableBootstrap="${SHOP_YES}", **capacities), waiting],
        reactions=[
            {"kind": "${SHOP_KIND}", "id": "r", "queries": ["${SHOP_QUERY}"], "autoStart": True}
        ],
    )
    env: dict[str, Any] = {
        "SHOP_PERSISTS": "true",
        "SHOP_YES": "true",
        "SHOP_FIVE": "5",
        "SHOP_SOURCE": "orders",
        "SHOP_KIND": "log",
        "SHOP_QUERY": "all",
    }
    config = tmp_path / "server.json"
    async with running(tmp_path, document, **env) as host:
        await host.push(order("a", 1))
        await host.has_output('[r] [all] ADD {"id": "a", "price": 1}')
        await host.do("PUT", "/sources/resting", resting)
        _, snapshot = await host.call("GET", "/snapshot")
    assert {part["id"]: part["status"] for part in snapshot["sources"] + snapshot["queries"]} == {
        "orders": "Running",
        "resting": "Stopped",
        "all": "Running",
        "waiting": "Added",
    }
    assert {"from": "all", "to": "r"} in snapshot["edges"]
    assert observable_digest(from_snapshot(snapshot)) == observable_digest(document)
    written = json.loads(config.read_text())
    assert [written[key] for key in ("persistConfig", "sources", "reactions")] == [
        document[key] for key in ("persistConfig", "sources", "reactions")
    ]


async def test_literal_secrets_are_echoed_but_never_logged(tmp_path: Path) -> None:
    document = configuration(
        logLevel="debug",
        sources=[source(password="pw-literal")],
        queries=[query("all", ALL)],
        reactions=[
            {
                "kind": "http",
                "id": "hook",
                "queries": ["all"],
                "baseUrl": "http://127.0.0.1:1/pw-path",
                "token": "pw-token",
            }
        ],
    )
    async with running(tmp_path, document) as host:
        await host.push(order("a", 1))
        _, snapshot = await host.call("GET", "/snapshot")
        assert snapshot["sources"][0]["properties"]["password"] == "pw-literal"
        await host.has_output("a call failed")
        await host.call("POST", "/sources", source("s", kind="oracle", password="pw-literal"))
    assert "pw-" not in host.output.read_text()


async def _changed(host: Host) -> None:
    await host.do("POST", "/queries", query("second", ALL))


async def test_changes_are_written_back_with_defaults_and_the_port(tmp_path: Path) -> None:
    config = tmp_path / "server.json"
    document = configuration(sources=[source()], persistConfig=True, logLevel="WARN")
    config.write_text(json.dumps(document))
    config.chmod(0o600)
    port = free_port()
    async with running(tmp_path, document, "--port", str(port), port=port) as host:
        await _changed(host)
        await host.do("POST", "/sources/orders/stop")
    written = json.loads(config.read_text())
    assert (written["id"], written["port"], written["logLevel"]) == ("shop", port, "WARN")
    assert written["hotReloadDebounceMs"] == 2000
    assert written["sources"] == [{**document["sources"][0], "autoStart": True}]
    assert [entry["id"] for entry in written["queries"]] == ["second"]
    assert written["queries"][0]["queryLanguage"] == "GQL"
    assert config.stat().st_mode & 0o777 == 0o600
    async with running(tmp_path, written) as host:
        assert [item["id"] for item in await host.do("GET", "/queries")] == ["second"]


async def test_a_refused_query_does_not_stop_the_next_start(tmp_path: Path) -> None:
    document = configuration(sources=[source()], persistConfig=True)
    async with running(tmp_path, document) as host:
        status, answer = await host.call("POST", "/queries", query("bad", "MATCH nonsense"))
        assert (status, answer["code"]) == (500, "QUERY_CREATE_FAILED")
        reaction = {"kind": "log", "id": "r", "queries": ["bad"]}
        status, answer = await host.call("POST", "/reactions", reaction)
        assert (status, answer["code"]) == (500, "REACTION_CREATE_FAILED")
        assert "'bad', which did not start: delete that" in answer["message"]
        await host.do("POST", "/queries", query("resting", ALL, autoStart=False))
        await _changed(host)
    async with running(tmp_path, document) as host:
        items = await host.do("GET", "/queries")
        assert {item["id"]: item["status"] for item in items} == {
            "resting": "Added",
            "second": "Running",
        }


async def test_a_yaml_file_stays_yaml(tmp_path: Path) -> None:
    config = tmp_path / "server.json"
    document = configuration(sources=[source()], persistConfig=True)
    config.write_text("# comment\n" + yaml.safe_dump(document))
    async with running(tmp_path, document) as host:
        await _changed(host)
    text = config.read_text()
    assert not text.startswith(("{", "#"))
    assert [entry["id"] for entry in yaml.safe_load(text)["queries"]] == ["second"]


async def test_a_file_behind_a_link_is_written_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, config = tmp_path / "elsewhere" / "shop.json", tmp_path / "server.json"
    document = configuration(sources=[source()], persistConfig=True)
    target.write_text(json.dumps(document))
    config.symlink_to("elsewhere/shop.json")
    async with running(tmp_path, document) as host:
        await _changed(host)
    assert config.is_symlink()
    assert [entry["id"] for entry in json.loads(target.read_text())["queries"]] == ["second"]


async def test_without_persistence_the_file_stays_as_it_is(tmp_path: Path) -> None:
    document = configuration(sources=[source()])
    async with running(tmp_path, document) as host:
        await _changed(host)
    assert json.loads((tmp_path / "server.json").read_text()) == document


async def test_a_file_that_nobody_may_write_makes_the_api_read_only(tmp_path: Path) -> None:
    document = configuration(sources=[source()], persistConfig=True)
    config = tmp_path / "server.json"
    config.write_text(json.dumps(document))
    config.chmod(0o400)
    async with running(tmp_path, document) as host:
        for method, path, body in (
            ("POST", "/queries", query("second", ALL)),
            ("PUT", "/sources/orders", document["sources"][0]),
            ("DELETE", "/sources/orders", None),
        ):
            status, answer = await host.call(method, path, body)
            assert (status, answer["code"]) == (409, "CONFIG_READ_ONLY")
        await host.do("POST", "/sources/orders/stop")


async def test_the_log_level_reaches_host_and_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUST_LOG", raising=False)
    async with running(tmp_path, configuration(logLevel="Error", sources=[source()])) as host:
        await _changed(host)
    assert host.output.read_text() == ""
