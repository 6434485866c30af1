"""Which strategy is taken, what people may do to one under way, what never touches what serves."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleets import draas
from tests.e2e.world import World, world
from tests.support.eventually import eventually

SETTINGS = (
    "--Health:MinimumHealthyTime=00:00:00.2",
    "--TwoSlots:DrainTime=00:00:01",
    "--Canary:Steps:0=50",
    "--Canary:Steps:1=100",
    "--Analysis:StepTime=00:00:00.2",
    "--Analysis:Deadline=00:00:00.1",
    "--Reconciliation:RetryDelay=00:00:00.2",
    "--Reconciliation:RestartDelay=00:00:00",
)
DEBUG = {"op": "add", "path": "/logLevel", "value": "debug"}
WARN = {"op": "add", "path": "/logLevel", "value": "warn"}
TEXT = {"op": "replace", "path": "/queries/0/query", "value": "MATCH (c:Counter) RETURN c.value"}


def by(strategy: str) -> tuple[str, ...]:
    return (*SETTINGS, f"--Reconciliation:DefaultStrategy={strategy}")


async def command(made: World, *words: str) -> str:
    done = await draas("--control-plane", made._url, "--daemon", made._daemon_url, *words)
    assert done.code == 0, done.err
    return done.out


async def under_way(made: World) -> dict[str, Any]:
    (found,) = (await made.ask_daemon("/api/reconciliation/instances"))["instances"]
    return dict(found["operation"] or {})


async def stands_at(made: World, phase: str, step: int = 1) -> None:
    async def there() -> bool:
        found = await under_way(made)
        return bool(found.get("phase") == phase and (found["step"] or {}).get("number") == step)

    await eventually(there, within=20)


async def ended(made: World, outcome: str, times: int = 1) -> dict[str, Any]:
    """The audit's last entry, once it tells of that end."""

    async def told() -> bool:
        return (await made.outcomes("a")).count(outcome) == times

    try:
        await eventually(told, within=30)
    except AssertionError:
        raise AssertionError(await made.audit("a")) from None
    return (await made.audit("a"))[-1]


async def slots(made: World) -> dict[str, int]:
    """Which slots there are, the serving one first, and their share of the traffic."""
    found = await made.ask("GET", "/api/servers/instances/a/slots", None, 200)
    return {slot["name"]: slot["weight"] for slot in found["slots"]}


async def test_an_approved_plan_is_a_canary_that_people_promote(tmp_path: Path) -> None:
    async with world(tmp_path, settings=by("Manual")) as made:
        await made.create("a")
        await made.patch("a", DEBUG)

        async def waits() -> list[dict[str, Any]]:
            return list(json.loads(await command(made, "approvals", "-o", "json")))

        (waiting,) = await eventually(waits)
        assert await slots(made) == {"main": 100}
        plan = ("--plan", waiting["planDigest"], "--strategy", "Canary", "--by", "ann")
        await command(made, "approve", "a", *plan)
        for step, share in ((1, 50), (2, 100)):
            await stands_at(made, "analysing", step)
            assert await slots(made) == {"main": 100 - share, "second": share}
            await command(made, "promote", "a", "--by", "bob")
        entry = await ended(made, "succeeded")
        assert (entry["strategy"], entry["actor"]) == ("Canary", "ann")
        assert await slots(made) == {"second": 100}
        assert len(made.servers()) == 1
        assert [each["actor"] for each in await made.audit("a")].count("bob") == 2


async def test_auto_disturbs_as_little_as_the_change_allows(tmp_path: Path) -> None:
    async with world(tmp_path, settings=by("auto")) as made:
        await made.create("a")
        process = await made.process_of("a")
        await made.patch("a", TEXT)
        assert (await ended(made, "succeeded"))["strategy"] == "HotApply"
        assert await made.process_of("a") == process
        await made.patch("a", DEBUG)
        entry = await ended(made, "succeeded", times=2)
        assert entry["strategy"] == "RollingUpdate"
        assert await slots(made) == {"second": 100}


async def test_auto_restarts_where_there_is_no_router(tmp_path: Path) -> None:
    async with world(tmp_path, settings=(*by("auto"), "--Router=none")) as made:
        await made.create("a")
        process = await made.process_of("a")
        await made.patch("a", DEBUG)
        assert (await ended(made, "succeeded"))["strategy"] == "Restart"
        assert await made.process_of("a") != process


async def test_a_canary_is_paused_and_aborted(tmp_path: Path) -> None:
    async with world(tmp_path, settings=by("Canary")) as made:
        await made.create("a")
        process = await made.process_of("a")
        await made.patch("a", DEBUG)
        await stands_at(made, "analysing")
        await command(made, "pause", "a", "--reason", "lunch")

        async def paused() -> bool:
            return bool((await under_way(made))["paused"])

        await eventually(paused)
        assert await slots(made) == {"main": 50, "second": 50}
        await command(made, "abort", "a", "--reason", "never mind")
        entry = await ended(made, "rolled-back")
        assert "never mind" in entry["error"]
        assert entry["quarantinedDigest"]
        assert await slots(made) == {"main": 100}
        assert [each.pid for each in made.servers()] == [process]


async def test_something_newer_takes_the_place_of_a_canary(tmp_path: Path) -> None:
    async with world(tmp_path, settings=by("Canary")) as made:
        await made.create("a")
        await made.patch("a", DEBUG)
        await stands_at(made, "analysing")
        await made.patch("a", WARN)

        async def renewed() -> bool:
            there = await made.ask("GET", "/api/servers/instances/a/slots", None, 200)
            desired = (await made.instance("a"))["desiredDigest"]
            digests = [slot["digest"] for slot in there["slots"]]
            return digests[1:] == [desired] and (await under_way(made))["phase"] == "analysing"

        await eventually(renewed, within=20)
        for step in (1, 2):
            await stands_at(made, "analysing", step)
            await command(made, "promote", "a")
        await ended(made, "succeeded")
        assert (await made.configuration("a"))["logLevel"] == "warn"
        assert await made.settled("a")
        assert len(made.servers()) == 1


async def test_its_users_stop_ends_both_slots_and_what_was_under_way(tmp_path: Path) -> None:
    async with world(tmp_path, settings=by("Canary")) as made:
        created = await made.create("a")
        await made.patch("a", DEBUG)
        await stands_at(made, "analysing")
        await made.ask("POST", "/api/servers/instances/a/stop", None, 200)
        entry = await ended(made, "superseded")
        assert "its user stopped it" in entry["error"]
        assert (made.servers(), await slots(made)) == ([], {})
        await made.ask("POST", "/api/servers/instances/a/start", None, 200)
        assert await made.settled("a", port=(await made.configuration("a"))["port"])
        assert (await made.instance("a"))["appliedDigest"] != created["appliedDigest"]
        assert len(made.servers()) == 1


@pytest.mark.parametrize("kind", ["taken address", "bad template"])
async def test_a_candidate_that_cannot_start_does_not_touch_what_serves(
    tmp_path: Path, kind: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = {"id": "bad", "kind": "http", "host": "127.0.0.1", "port": holder.getsockname()[1]}
        template = {"defaultTemplate": {"added": {"template": "{{#nonsense}}"}}}
        refused = {"id": "bad", "kind": "log", "queries": ["q"], **template}
        added = {
            "taken address": {"op": "add", "path": "/sources/-", "value": taken},
            "bad template": {"op": "add", "path": "/reactions/-", "value": refused},
        }[kind]
        async with world(tmp_path, settings=by("RollingUpdate")) as made:
            await made.create("a")
            process = await made.process_of("a")
            port = (await made.configuration("a"))["port"]
            await made.patch("a", added)
            entry = await ended(made, "rolled-back")
            assert entry["strategy"] == "RollingUpdate"
            assert ("use" if kind == "taken address" else "defaultTemplate") in entry["error"]
            assert await slots(made) == {"main": 100}
            assert [each.pid for each in made.servers()] == [process]
            assert await made.healthy(port)
