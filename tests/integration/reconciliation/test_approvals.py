"""Manual, end to end on virtual time: a plan waits for a person, and only that plan is done."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from draas.reconciliation.daemon import Daemon
from draas.testing.configurations import configuration
from tests.integration.reconciliation.test_management import managed, simulated
from tests.unit.reconciliation.scenarios import runs, starts
from tests.unit.reconciliation.simulation import World

NEW, NEWER = configuration(9090), configuration(9191)
PATH = "/api/reconciliation/instances"


async def manual_world() -> World:
    world = World(default_strategy="Manual")
    await world.running("a", "b")
    return world


async def waiting(world: World, client: httpx.AsyncClient) -> str:
    """The digest of the only plan that waits."""
    await asyncio.sleep(5)
    lines = (await client.get(PATH, params={"blockedBy": "approval"})).json()["instances"]
    [digest] = [line["planDigest"] for line in lines]
    assert starts(world, "a") == 0
    return str(digest)


async def judge(
    client: httpx.AsyncClient, verdict: str, body: dict[str, Any], instance_id: str = "a"
) -> httpx.Response:
    headers = {"Draas-Actor": "olga"}
    return await client.post(f"{PATH}/{instance_id}/{verdict}", json=body, headers=headers)


async def story(world: World) -> list[tuple[str, str]]:
    return [(each.outcome, each.actor) for each in await world.audit("a")]


@simulated
async def test_an_approved_plan_is_done_at_once_in_the_approvers_name() -> None:
    world = await manual_world()
    async with managed(world) as (client, _):
        await world.control_plane.configure("a", NEW)
        plan = await waiting(world, client)
        answer = await judge(client, "approve", {"plan": plan, "reason": "change 4711"})
        assert answer.status_code == 200, answer.text
        await world.until(lambda: runs(world, "a", NEW))
        await asyncio.sleep(5)
        again = await judge(client, "approve", {"plan": plan})
        assert (again.status_code, again.json()["decision"]) == (409, "in-sync")
    assert await story(world) == [
        ("held", "reconciliation-daemon"),
        ("approved", "olga"),
        ("started", "olga"),
        ("succeeded", "olga"),
    ]
    told = [(each.trigger, each.drift_kinds) for each in await world.audit("a")]
    assert told[:2] == [("resync", ("configuration",)), ("manual", ("configuration",))]
    [held] = [each for each in await world.audit("a") if each.outcome == "held"]
    assert held.summary == ("Port: 8100 → 9090",)
    assert held.plan[0] == f"plan {plan}" and held.plan[1] == "check"


@simulated
async def test_what_changes_after_the_approval_waits_for_its_own() -> None:
    world = await manual_world()
    async with managed(world) as (client, _):
        await world.control_plane.configure("a", NEW)
        plan = await waiting(world, client)
        await world.control_plane.configure("a", NEWER)
        answer = await judge(client, "approve", {"plan": plan})
        assert (answer.status_code, answer.json()["type"]) == (
            409,
            "urn:draas:problem:plan-changed",
        )
        assert answer.json()["plan"] != plan
        await asyncio.sleep(60)
        assert starts(world, "a") == 0


@simulated
async def test_a_newer_configuration_does_not_slip_in_under_way() -> None:
    world = await manual_world()
    world.control_plane.start_seconds = 5
    async with managed(world) as (client, daemon):
        await world.control_plane.configure("a", NEW)
        await judge(client, "approve", {"plan": await waiting(world, client)})
        await world.until(lambda: is_under_way(daemon, "starting"))
        await world.control_plane.configure("a", NEWER)
        await world.until(lambda: runs(world, "a", NEW))
        await asyncio.sleep(60)
        assert runs(world, "a", NEW) and starts(world, "a") == 1
    assert [outcome for outcome, _ in await story(world)][-2:] == ["succeeded", "held"]


def is_under_way(daemon: Daemon, phase: str) -> bool:
    operation = daemon.journal.open.get("a")
    return operation is not None and operation.phase == phase


@simulated
async def test_a_rejected_plan_is_held_until_it_changes() -> None:
    world = await manual_world()
    async with managed(world) as (client, _):
        await world.control_plane.configure("a", NEW)
        plan = await waiting(world, client)
        assert (await judge(client, "reject", {"plan": plan, "reason": "no"})).status_code == 200
        await asyncio.sleep(120)
        told = (await client.get(f"{PATH}/a")).json()["plan"]
        assert told["decision"] == "held" and "olga rejected it: no" in told["reason"]
        await world.control_plane.configure("a", NEWER)
        await judge(client, "approve", {"plan": await waiting(world, client)})
        await world.until(lambda: runs(world, "a", NEWER))


@simulated
async def test_an_approval_survives_a_crash() -> None:
    world = await manual_world()
    world.control_plane.refusals = {}
    async with managed(world) as (client, daemon):
        await world.control_plane.configure("a", NEW)
        plan = await waiting(world, client)
        daemon.workers = None
        body = {"plan": plan, "expiresInSeconds": 600}
        assert (await judge(client, "approve", body)).status_code == 200
    async with managed(world):
        await world.until(lambda: runs(world, "a", NEW))
    memory = (await world.store.memories())["a"]
    assert memory.approval is None, "it counts once"


@simulated
async def test_an_approval_that_nobody_acted_on_expires_and_the_audit_says_so() -> None:
    world = await manual_world()
    async with managed(world) as (client, daemon):
        await world.control_plane.configure("a", NEW)
        plan = await waiting(world, client)
        daemon.workers = None
        body = {"plan": plan, "expiresInSeconds": 30}
        assert (await judge(client, "approve", body)).status_code == 200
    await asyncio.sleep(60)
    async with managed(world) as (client, _):
        assert await waiting(world, client) == plan
        await asyncio.sleep(60)
        assert [outcome for outcome, _ in await story(world)] == ["held", "approved", "held"]
        expired = (await world.audit("a"))[-1]
        assert expired.action == "Held by approval: the approval by olga has expired"
        await judge(client, "approve", {"plan": plan})
        await world.until(lambda: runs(world, "a", NEW))


REFUSED = [
    pytest.param({}, "invalid-parameter", id="no plan"),
    pytest.param({"plan": "sha256:0"}, "plan-changed", id="another plan"),
    pytest.param({"plan": 1}, "invalid-parameter", id="no text"),
    pytest.param({"plan": "x", "how": "quick"}, "invalid-parameter", id="unknown key"),
    pytest.param({"plan": "x", "strategy": "Yolo"}, "invalid-parameter", id="unknown strategy"),
    pytest.param({"plan": "x", "expiresInSeconds": -1}, "invalid-parameter", id="no time"),
    pytest.param({"plan": "x", "expiresInSeconds": True}, "invalid-parameter", id="no number"),
]


@pytest.mark.parametrize(("body", "kind"), REFUSED)
def test_bad_approvals_change_nothing(body: dict[str, Any], kind: str) -> None:
    async def scenario() -> None:
        world = await manual_world()
        async with managed(world) as (client, _):
            await world.control_plane.configure("a", NEW)
            await waiting(world, client)
            answer = await judge(client, "approve", body)
            assert answer.json()["type"] == f"urn:draas:problem:{kind}"
            assert (await judge(client, "approve", {"plan": "x"}, "nobody")).status_code == 404
            await asyncio.sleep(60)
        assert starts(world, "a") == 0

    simulated(scenario)()
