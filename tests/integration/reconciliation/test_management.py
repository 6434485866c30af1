"""The daemon's HTTP surface: probes, metrics, drift states, explanations, orders, audit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from draas.decide.gates import NAMES
from draas.model.configuration import digest
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.journal import TROUBLE_SECONDS
from draas.reconciliation.management.app import application
from draas.reconciliation.management.replicas import Replicas
from draas.testing import virtual_time
from tests.unit.reconciliation.simulation import World, configuration


@asynccontextmanager
async def managed(world: World) -> AsyncIterator[tuple[httpx.AsyncClient, Daemon]]:
    async with world.daemon() as daemon:
        transport = httpx.ASGITransport(
            application(daemon, Replicas(daemon)), raise_app_exceptions=False
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://daemon") as client:
            yield client, daemon


def simulated(scenario: Any) -> Any:
    def test() -> None:
        virtual_time.run(scenario())

    return test


async def failing_world() -> tuple[World, dict[str, Any]]:
    """An instance whose new configuration fails, one in order, one stopped by its user."""
    world = World()
    await world.running("bad", "good", "off")
    await world.control_plane.want("off", running=False)
    wrong = configuration(1024)
    world.control_plane.failing[digest(wrong)] = "port 1024 is in use"
    return world, wrong


async def rolled_back(world: World, wrong: dict[str, Any]) -> None:
    await asyncio.sleep(1)
    await world.control_plane.configure("bad", wrong)
    await world.until(lambda: world.control_plane.servers["bad"].starts == 2)
    await asyncio.sleep(5)


@simulated
async def test_probes_follow_the_control_plane() -> None:
    world = World()
    world.control_plane.reachable = False
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).status_code == 503
        world.control_plane.reachable = True
        await asyncio.sleep(5)
        assert (await client.get("/ready")).json()["checks"] == {
            "settings": True,
            "controlPlane": True,
            "firstSync": True,
            "store": True,
        }
        world.control_plane.reachable = False
        await asyncio.sleep(60)
        answer = await client.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["reason"] == "the control plane is down"
        assert (await client.get("/health")).status_code == 200, "an outage is not our death"


@simulated
async def test_who_cannot_write_down_what_it_does_is_not_ready() -> None:
    world = World()
    await world.running("a")
    async with managed(world) as (client, daemon):
        await world.until(lambda: daemon.link.synced)
        world.store.broken = True
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(5)
        answer = await client.get("/ready")
        assert answer.status_code == 503 and answer.json()["checks"]["store"] is False
        assert answer.json()["reason"] == "the store is broken on purpose"
        world.store.broken = False
        await asyncio.sleep(TROUBLE_SECONDS + 30)
        assert (await client.get("/ready")).status_code == 200


@simulated
async def test_what_a_daemon_with_a_store_of_its_own_took_is_refused() -> None:
    world = World()
    await world.running("a")
    async with managed(world) as (client, daemon):
        await world.until(lambda: daemon.link.synced)
        daemon.shards.contest("a", daemon.shards.fence("a"))
        answer = await client.post("/api/reconciliation/instances/a/reconcile")
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:draas:problem:left-to-another-daemon"
        answer = await client.post(
            "/api/reconciliation/instances/a/reconcile", json={"dryRun": True}
        )
        assert answer.status_code == 200


@simulated
async def test_before_the_control_plane_was_ever_reached_orders_are_refused() -> None:
    world = World()
    world.control_plane.reachable = False
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        answer = await client.get("/api/reconciliation/instances/a")
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:draas:problem:control-plane-unreachable"


@simulated
async def test_the_list_shows_filters_and_pages() -> None:
    world, wrong = await failing_world()
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        path = "/api/reconciliation/instances"
        everything = (await client.get(path)).json()
        lines = {line["instanceId"]: line for line in everything["instances"]}
        assert lines["good"]["decision"] == "in-sync"
        assert lines["off"]["drift"]["verdict"] == "in-sync"
        assert lines["bad"]["blockedBy"] == "quarantine"
        assert lines["bad"]["quarantine"]["reason"] == "port 1024 is in use"
        drifted = (await client.get(path, params={"verdict": "drifted"})).json()
        assert [line["instanceId"] for line in drifted["instances"]] == ["bad"]
        by_kind = (await client.get(path, params={"kind": "health"})).json()
        assert by_kind["instances"] == []
        first = (await client.get(path, params={"limit": 2})).json()
        rest = (await client.get(path, params={"limit": 2, "after": first["next"]})).json()
        ids = [line["instanceId"] for line in first["instances"] + rest["instances"]]
        assert ids == ["bad", "good", "off"] and rest["next"] is None


@simulated
async def test_drift_about_which_nobody_decides_is_not_called_in_sync() -> None:
    world = World(enable_auto_reconciliation=False, enable_event_driven_reconciliation=False)
    await world.running("a")
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(30)
        [line] = (await client.get("/api/reconciliation/instances")).json()["instances"]
        assert (line["drift"]["verdict"], line["decision"]) == ("drifted", "undecided")


@simulated
async def test_an_explanation_has_every_gate_in_order() -> None:
    world, wrong = await failing_world()
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        told = (await client.get("/api/reconciliation/instances/bad")).json()
        assert told["plan"]["decision"] == "held"
        assert [gate["passed"] for gate in told["plan"]["gates"]] == [False]
        await world.control_plane.configure("good", configuration(9090))
        told = (
            await client.post("/api/reconciliation/instances/good/reconcile", json={"dryRun": True})
        ).json()
        assert told["dryRun"] is True
        names = [gate["name"] for gate in told["plan"]["gates"]]
        assert names == list(NAMES)
        assert told["summary"] == ["Port: 8101 → 9090"]
        assert told["plan"]["steps"][:2] == ["check", "stop"]


@simulated
async def test_a_dry_run_changes_nothing_and_an_order_does() -> None:
    world = World(enable_auto_reconciliation=False, enable_event_driven_reconciliation=False)
    await world.running("a")
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        await world.control_plane.configure("a", configuration(9090))
        path = "/api/reconciliation/instances/a/reconcile"
        assert (await client.post(path, json={"dryRun": True})).status_code == 200
        await asyncio.sleep(30)
        assert world.control_plane.log == []
        ordered = await client.post(path, headers={"Draas-Actor": "olga"})
        assert ordered.status_code == 202
        await world.until(lambda: world.control_plane.servers["a"].starts == 1)
        await asyncio.sleep(2)
    assert {entry.actor for entry in await world.audit("a")} == {"olga"}


@simulated
async def test_a_release_tries_again() -> None:
    world, wrong = await failing_world()
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        world.control_plane.failing.clear()
        answer = await client.post("/api/reconciliation/instances/bad/release")
        assert answer.json() == {"instanceId": "bad", "released": True}
        await world.until(lambda: world.control_plane.servers["bad"].starts == 3)
        again = await client.post("/api/reconciliation/instances/bad/release")
        assert again.json()["released"] is False


@simulated
async def test_the_audit_filters_pages_exports_and_verifies() -> None:
    world, wrong = await failing_world()
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        path = "/api/reconciliation/audit"
        page = (await client.get(path, params={"instanceId": "bad", "limit": 1})).json()
        assert [entry["outcome"] for entry in page["entries"]] == ["rolled-back"]
        older = (await client.get(path, params={"before": page["next"]})).json()
        assert [entry["outcome"] for entry in older["entries"]] == ["started"]
        exported = await client.get(path, params={"format": "ndjson"})
        lines = [json.loads(line) for line in exported.text.splitlines()]
        assert len(lines) == 2
        assert {"operationId", "differences", "previousHash", "hash"} <= lines[0].keys()
        assert (await client.get(f"{path}/verify")).json()["intact"] is True
        assert (await client.get(path, params={"instanceId": "nobody"})).json() == {
            "entries": [],
            "next": None,
        }


@simulated
async def test_the_breaker_is_shown_and_released() -> None:
    world = World()
    world.settings = replace(
        world.settings,
        breaker=replace(world.settings.breaker, minimum_failing=1, max_failing_share=0.1),
    )
    await world.running("bad", "good")
    wrong = configuration(1024)
    world.control_plane.failing[digest(wrong)] = "port 1024 is in use"
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        await asyncio.sleep(10)
        shown = (await client.get("/api/reconciliation/breaker")).json()
        assert shown["open"] is True and "1 of 2" in shown["reason"]
        await world.control_plane.configure("good", configuration(9090))
        await asyncio.sleep(60)
        assert world.control_plane.servers["good"].starts == 0, "held by the breaker"
        assert (await client.post("/api/reconciliation/breaker/release")).json()["open"] is False
        await world.until(lambda: world.control_plane.servers["good"].starts == 1)


@simulated
async def test_metrics_have_the_named_series() -> None:
    world, wrong = await failing_world()
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        await asyncio.sleep(40)
        text = (await client.get("/metrics")).text
    for series in (
        "reconciliation_cycles_total",
        'reconciliation_drift_detected_total{kind="configuration"} 1.0',
        "reconciliation_success_total",
        'reconciliation_failures_total{reason="permanent",strategy="Restart",trigger="change"}',
        "reconciliation_duration_seconds_bucket",
        "reconciliation_queue_depth",
        "reconciliation_event_lag_seconds",
        "reconciliation_in_flight",
        'reconciliation_skipped_total{reason="quarantine"}',
        'reconciliation_instances_drifting{kind="configuration"} 1.0',
    ):
        assert series in text


BAD = [
    pytest.param("GET", "/api/reconciliation/instances/nobody", None, 404, "nobody", id="id"),
    pytest.param("GET", "/nowhere", None, 404, "/nowhere", id="route"),
    pytest.param("PUT", "/api/reconciliation/audit", None, 405, "PUT", id="method"),
    pytest.param(
        "GET", "/api/reconciliation/instances?verdict=odd", None, 400, "'odd'", id="verdict"
    ),
    pytest.param(
        "GET", "/api/reconciliation/instances?blockedBy=odd", None, 400, "'odd'", id="gate"
    ),
    pytest.param("GET", "/api/reconciliation/audit?limit=0", None, 400, "limit", id="limit"),
    pytest.param("GET", "/api/reconciliation/audit?format=xml", None, 400, "xml", id="format"),
    pytest.param(
        "POST",
        "/api/reconciliation/instances/a/reconcile",
        '{"strategy": "Magic"}',
        400,
        "Restart",
        id="strategy",
    ),
    pytest.param(
        "POST", "/api/reconciliation/instances/a/reconcile", '{"dryRun": 7}', 400, "7", id="dryRun"
    ),
    pytest.param(
        "POST",
        "/api/reconciliation/instances/a/reconcile",
        "{",
        400,
        "the body is not JSON",
        id="no JSON",
    ),
    pytest.param("POST", "/api/reconciliation/instances/a/reconcile", "[]", 400, "", id="array"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "names"), BAD)
def test_bad_input_gets_a_problem_that_names_it(
    method: str, path: str, body: str | None, status: int, names: str
) -> None:
    async def scenario() -> None:
        world = World()
        await world.running("a")
        async with managed(world) as (client, _):
            await asyncio.sleep(1)
            headers = {"Content-Type": "application/json"}
            answer = await client.request(method, path, content=body, headers=headers)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert names in answer.json()["detail"]
        assert world.control_plane.log == []

    virtual_time.run(scenario())


@simulated
async def test_a_body_is_read_as_the_control_plane_reads_its_own() -> None:
    world = World()
    await world.running("a")
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        for order in ("reconcile", "approve", "pause"):
            path = f"/api/reconciliation/instances/a/{order}"
            large = b'"' + b"x" * (9 << 20) + b'"'
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            for content, headers, status in (
                (large, {}, 413),
                (b"{}", form, 415),
                (b'{"a": 1, "a": 2}', {}, 400),
                (b"[]", {}, 400),
            ):
                answer = await client.post(path, content=content, headers=headers)
                assert answer.status_code == status, (order, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"
        told = (await client.get("/openapi.json")).json()["paths"]
        assert "requestBody" in told["/api/reconciliation/instances/{instance_id}/pause"]["post"]


@simulated
async def test_another_method_is_told_all_that_are_served() -> None:
    async with managed(World()) as (client, _):
        answer = await client.put("/api/reconciliation/audit")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert "use GET" in answer.json()["detail"]


@simulated
async def test_an_unexpected_failure_is_a_problem_that_says_nothing_of_itself() -> None:
    async def broken(*_: Any) -> Any:
        raise RuntimeError("hunter2")

    world = World()
    await world.running("a")
    async with managed(world) as (client, daemon):
        await asyncio.sleep(1)
        assert daemon.reconciler is not None
        daemon.reconciler.look = broken  # type: ignore[assignment,method-assign]  # a fault of ours
        answer = await client.get("/api/reconciliation/instances/a")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:draas:problem:internal-error"
    assert "hunter2" not in answer.text


@simulated
async def test_a_broken_store_is_a_problem_and_not_a_page() -> None:
    world = World()
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        world.store.broken = True
        answer = await client.get("/api/reconciliation/audit")
        world.store.broken = False
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:draas:problem:store-unavailable"


@simulated
async def test_with_both_loops_off_drift_is_still_shown_and_nothing_is_done() -> None:
    world = World(enable_auto_reconciliation=False, enable_event_driven_reconciliation=False)
    await world.running("a", "b")
    await world.control_plane.configure("b", configuration(9091))
    async with managed(world) as (client, _):
        await asyncio.sleep(1)
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(1)
        listed = (await client.get("/api/reconciliation/instances")).json()["instances"]
        assert [each["drift"]["verdict"] for each in listed] == ["drifted", "drifted"]
        await world.control_plane.delete("b")
        await asyncio.sleep(60)
        listed = (await client.get("/api/reconciliation/instances")).json()["instances"]
        assert [each["instanceId"] for each in listed] == ["a"]
        assert world.control_plane.log == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("since=yesterday", id="no time"),
        pytest.param("until=yesterday", id="no end"),
        pytest.param("outcome=fine", id="no outcome"),
        pytest.param("format=xml", id="no format"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(query: str) -> None:
    async def scenario() -> None:
        async with managed(World()) as (client, _):
            answer = await client.get(f"/api/reconciliation/audit?{query}")
            assert answer.status_code == 400
            assert query.partition("=")[2] in answer.json()["detail"]

    virtual_time.run(scenario())


@simulated
async def test_times_may_be_given_with_any_offset() -> None:
    world = World(reconcile_error_instances=False)
    await world.running("a")
    await world.control_plane.crash("a")
    async with managed(world) as (client, _):
        await asyncio.sleep(5)
        path = "/api/reconciliation/audit"
        for since, found in (("2026-01-01T02:00:00+02:00", 1), ("2026-01-01T00:00:00-02:00", 0)):
            answer = await client.get(path, params={"since": since})
            assert len(answer.json()["entries"]) == found, since


@simulated
async def test_an_export_is_whole_or_as_long_as_is_asked() -> None:
    world, wrong = await failing_world()
    async with managed(world) as (client, _):
        await rolled_back(world, wrong)
        path = "/api/reconciliation/audit"
        entries = (await client.get(path)).json()["entries"]
        assert len(entries) == 2
        for limit, found in ((None, 2), (1, 1)):
            params = {"format": "ndjson"} | ({"limit": str(limit)} if limit else {})
            lines = (await client.get(path, params=params)).text.splitlines()
            assert [json.loads(line) for line in lines] == entries[:found]


@simulated
async def test_a_misspelt_dry_run_does_nothing() -> None:
    world = World(enable_auto_reconciliation=False, enable_event_driven_reconciliation=False)
    await world.running("a")
    async with managed(world) as (client, _):
        await world.control_plane.configure("a", configuration(9090))
        await asyncio.sleep(1)
        path = "/api/reconciliation/instances/a/reconcile"
        assert (await client.post(path, json={"dryrun": True})).status_code == 400
        await asyncio.sleep(30)
    assert world.control_plane.log == []


UNKNOWN_PARAMETERS = [
    pytest.param("POST", "instances/a/reconcile?dryRun=true", "dryRun", "none is", id="order"),
    pytest.param("GET", "instances?status=Running", "status", "blockedBy", id="list"),
    pytest.param("GET", "instances/a?view=full", "view", "none is known", id="one"),
    pytest.param("GET", "audit?from=yesterday", "from", "since, until", id="audit"),
    pytest.param("GET", "audit/verify?instanceId=x", "instanceId", "none is known", id="chain"),
    pytest.param("GET", "rollouts?digest=x", "digest", "none is known", id="rollouts"),
    pytest.param("GET", "replicas?a=1", "a", "none is known", id="replicas"),
    pytest.param("POST", "breaker/release?force=1", "force", "none is known", id="breaker"),
]


@pytest.mark.parametrize(("method", "path", "named", "known"), UNKNOWN_PARAMETERS)
def test_a_parameter_that_nobody_looks_at_is_refused(
    method: str, path: str, named: str, known: str
) -> None:
    async def scenario() -> None:
        world = World(enable_auto_reconciliation=False, enable_event_driven_reconciliation=False)
        await world.running("a")
        async with managed(world) as (client, _):
            await world.control_plane.configure("a", configuration(9090))
            await asyncio.sleep(1)
            answer = await client.request(method, f"/api/reconciliation/{path}")
            await asyncio.sleep(30)
        assert (answer.status_code, answer.json()["parameter"]) == (400, named)
        assert known in answer.json()["detail"]
        assert world.control_plane.log == []

    virtual_time.run(scenario())


@simulated
async def test_the_description_says_what_orders_take_and_answer() -> None:
    async with managed(World()) as (client, _):
        told = (await client.get("/openapi.json")).json()["paths"]
    one = "/api/reconciliation/instances/{instance_id}"
    for order, keys, required, statuses in (
        ("reconcile", {"strategy", "dryRun", "allowStateLoss"}, None, {"200", "202", "default"}),
        ("reject", {"plan", "reason"}, ["plan"], {"200", "default"}),
        ("abort", {"reason"}, None, {"202", "default"}),
    ):
        operation = told[f"{one}/{order}"]["post"]
        shape = operation["requestBody"]["content"]["application/json"]["schema"]
        assert shape["properties"].keys() == keys, order
        assert shape.get("required") == required, order
        assert operation["responses"].keys() == statuses, order
    problem = told[one]["get"]["responses"]["default"]["content"]
    assert problem.keys() == {"application/problem+json"}


@simulated
async def test_a_control_plane_that_hangs_is_told_in_time() -> None:
    never = asyncio.Event()

    async def hanging(*_: Any) -> Any:
        await never.wait()

    world = World()
    await world.running("a")
    async with managed(world) as (client, daemon):
        await world.until(lambda: daemon.link.synced)
        world.control_plane.state = hanging  # type: ignore[assignment,method-assign]
        loop = asyncio.get_running_loop()
        for is_known, within in ((False, 21), (True, 3)):
            if is_known:
                world.control_plane.reachable = False
                await world.until(lambda: daemon.link.is_away)
            begun = loop.time()
            answer = await client.get("/api/reconciliation/instances/a")
            assert loop.time() - begun < within
            assert answer.json()["type"] == "urn:draas:problem:control-plane-unreachable"
            assert ("the control plane is down" in answer.json()["detail"]) is is_known


@pytest.mark.parametrize(
    ("follows", "repeats", "looks"),
    [
        pytest.param(True, True, ["change", "periodic"], id="both"),
        pytest.param(True, False, ["change"], id="events"),
        pytest.param(False, True, ["periodic"], id="periodic"),
        pytest.param(False, False, [], id="by hand"),
    ],
)
def test_what_lets_the_daemon_look_is_told(follows: bool, repeats: bool, looks: list[str]) -> None:
    async def scenario() -> None:
        world = World(
            enable_event_driven_reconciliation=follows, enable_auto_reconciliation=repeats
        )
        await world.running("a")
        async with managed(world) as (client, daemon):
            await world.until(lambda: daemon.reconciler is not None)
            answer = await client.get("/api/reconciliation/instances/a")
            assert answer.json()["looks"] == looks

    virtual_time.run(scenario())
