"""Roll-outs in hand, by the management API: promote, pause, resume, abort, and what is shown."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from draas.model.slots import Loss
from draas.testing.configurations import configuration
from tests.integration.reconciliation.test_management import managed, simulated
from tests.unit.reconciliation.scenarios import runs
from tests.unit.reconciliation.simulation import World

OLD, NEW = configuration(8100), configuration(9090)
PATH = "/api/reconciliation/instances/a"


async def canary() -> World:
    world = World(default_strategy="Canary")
    world.control_plane.router = "simulated"
    await world.running("a")
    return world


async def ask(client: httpx.AsyncClient, wish: str, **body: Any) -> httpx.Response:
    return await client.post(f"{PATH}/{wish}", json=body, headers={"Draas-Actor": "olga"})


async def shown(client: httpx.AsyncClient) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(PATH)).json()["state"]["operation"]
    return answer


@simulated
async def test_a_roll_out_is_shown_paused_promoted_and_aborted() -> None:
    world = await canary()
    async with managed(world) as (client, _):
        await world.control_plane.configure("a", NEW)
        await asyncio.sleep(20)
        seen = await shown(client)
        assert (seen["strategy"], seen["phase"]) == ("Canary", "analysing")
        assert seen["step"]["number"] == 1
        assert (seen["step"]["verdict"], seen["step"]["samples"]) == ("inconclusive", 0)
        assert "not enough data" in seen["step"]["reasons"][0]
        assert {each["name"] for each in seen["checks"]} > {"process runs", "port listens"}
        assert (await ask(client, "pause", reason="lunch")).status_code == 202
        assert (await ask(client, "resume")).status_code == 409, "not before it has obeyed"
        await asyncio.sleep(2)
        assert (await shown(client))["paused"] == "paused by olga: lunch"
        assert (await ask(client, "resume")).status_code == 202
        await asyncio.sleep(2)
        assert (await ask(client, "promote", reason="it is night")).status_code == 202
        await asyncio.sleep(2)
        assert (await shown(client))["step"]["number"] == 2
        assert (await ask(client, "abort")).status_code == 202
        await asyncio.sleep(10)
        late = await ask(client, "abort")
        assert (late.status_code, late.json()["title"]) == (409, "Nothing under way")
    assert runs(world, "a", OLD)
    told = [(each.outcome, each.actor) for each in await world.audit("a") if each.actor == "olga"]
    assert told == [(wish, "olga") for wish in ("pause", "resume", "promote", "abort")]


@simulated
async def test_bad_orders_are_refused() -> None:
    world = await canary()
    async with managed(world) as (client, _):
        await asyncio.sleep(2)
        assert (await ask(client, "abort", why="x")).status_code == 400
        assert (await ask(client, "abort", reason=7)).status_code == 400
        assert (await client.post(PATH[:-1] + "nobody/abort")).status_code == 404
        order = {"allowStateLoss": "yes"}
        assert (await client.post(f"{PATH}/reconcile", json=order)).status_code == 400


@simulated
async def test_consent_to_lose_state_comes_with_an_order_or_with_the_approval() -> None:
    world = World(default_strategy="Manual")
    world.control_plane.router = "simulated"
    world.control_plane.losses["a"] = [Loss(query="q")]
    await world.running("a")
    async with managed(world) as (client, _):
        await world.control_plane.configure("a", NEW)
        await asyncio.sleep(5)
        plan = (await client.get(PATH)).json()["plan"]["digest"]
        body = {"plan": plan, "strategy": "RollingUpdate"}
        assert (await client.post(f"{PATH}/approve", json=body)).status_code == 200
        await asyncio.sleep(5)
        held = (await client.get(PATH)).json()["plan"]["gates"]
        [gate] = [each for each in held if not each["passed"]]
        assert gate["name"] == "state-loss"
        assert "query 'q' would begin empty" in gate["reason"]
        order = {"allowStateLoss": True}
        assert (await client.post(f"{PATH}/reconcile", json=order)).status_code == 202
        await world.until(lambda: runs(world, "a", NEW))
    end = (await world.audit("a"))[-1]
    assert (end.strategy, end.outcome) == ("RollingUpdate", "succeeded")
