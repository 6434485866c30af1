"""Two slots of a server that knows of no hand-over: loads, copies of pushes, held reactions."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import Told, shop, webhook
from tests.e2e.test_control_plane_matrix import is_killed_and_started_again
from tests.e2e.world import DRAAS, World, world
from tests.support import another_make
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)
SETTINGS = (
    "--Health:MinimumHealthyTime=00:00:00.5",
    "--TwoSlots:DrainTime=00:00:01",
    "--Analysis:StepTime=00:00:01",
    "--Analysis:Deadline=00:00:02",
    "--Analysis:MinimumSamples=5",
    "--BlueGreen:SoakTime=00:00:01",
)
BASE = "/api/servers/instances/shop"


def update(order: str, price: int) -> dict[str, Any]:
    """An order, whether it is known or not."""
    properties = {"id": order, "price": price}
    element = {"type": "node", "id": order, "labels": ["Order"], "properties": properties}
    return {"operation": "update", "element": element}


@dataclass
class Shoppers:
    """Push by the API and at the source's own address; what is pushed is in the `file` before."""

    made: World
    document: dict[str, Any]
    file: Path
    failed: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def push(self, order: str) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps(update(order, 1)) + "\n")
        api = f"http://127.0.0.1:{self.document['port']}/api/v1/sources/orders/push"
        source = f"http://127.0.0.1:{self.document['sources'][0]['port']}/sources/orders/events"
        url = api if len(self.pushed) % 2 else source
        try:
            await self.made._request("POST", url, update(order, 1), 200)
            self.pushed.append(order)
        except (OSError, AssertionError) as error:
            self.failed.append(repr(error))

    async def shop(self) -> None:
        number = 0
        while not self._closing.is_set():
            await self.push(f"o{number}")
            await self.rows("totals")
            number += 1
            await asyncio.sleep(0.02)

    async def rows(self, query: str) -> list[Any]:
        url = f"http://127.0.0.1:{self.document['port']}/api/v1/queries/{query}/results"
        found: list[Any] = (await self.made._request("GET", url, None, 200))["data"]
        return found

    def close(self) -> None:
        self._closing.set()


@asynccontextmanager
async def another_shop(
    directory: Path, *settings: str, loads: bool = True, control_plane: tuple[str, ...] = DRAAS
) -> AsyncIterator[tuple[Shoppers, Told]]:
    program, file = directory / "server", directory / "orders.jsonl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {another_make.__file__} "$@"\n')
    program.chmod(0o700)
    file.touch()
    given = (*SETTINGS, *settings, f"--Process:ExecutablePath={program}")
    async with (
        webhook() as told,
        world(directory, settings=given, control_plane=control_plane) as made,
    ):
        document = shop(told.url)
        if loads:
            provider = {"kind": another_make.KIND, "filePaths": [str(file)]}
            document["sources"][0]["bootstrapProvider"] = provider
        await made.create("shop", **document)
        yield Shoppers(made, document, file), told


async def slots(made: World) -> dict[str, dict[str, Any]]:
    found = await made.ask("GET", f"{BASE}/slots", None, 200)
    return {slot["name"]: slot for slot in found["slots"]}


@pytest.mark.parametrize(
    "strategy",
    [
        pytest.param("RollingUpdate", marks=pytest.mark.matrix),
        pytest.param("BlueGreen", marks=pytest.mark.matrix),
        "Canary",
    ],
)
async def test_nothing_that_is_pushed_is_lost(tmp_path: Path, strategy: str) -> None:
    settings = (f"--Reconciliation:DefaultStrategy={strategy}", "--Canary:Steps:0=50")
    async with another_shop(tmp_path, *settings, "--Canary:Steps:1=100") as (shoppers, told):
        made = shoppers.made
        before = await made.process_of("shop")
        await asyncio.gather(*(shoppers.push(f"before{n}") for n in range(5)))
        shopping = asyncio.create_task(shoppers.shop())
        text = "MATCH (o:Order) RETURN count(o) AS orders, max(o.price) AS dearest"
        await made.patch(
            "shop",
            {"op": "replace", "path": "/queries/0/query", "value": text},
            {"op": "replace", "path": "/logLevel", "value": "warn"},
        )

        async def over() -> bool:
            return (await made.outcomes("shop"))[-1:] == ["succeeded"]

        await eventually(over, within=60, every=0.1)
        shoppers.close()
        await shopping
        assert shoppers.failed == []
        assert await made.process_of("shop") != before
        assert [slot["role"] for slot in (await slots(made)).values()] == ["serving"]
        orders = set(shoppers.pushed)

        async def complete() -> bool:
            rows = await shoppers.rows("each")
            counted = await shoppers.rows("totals")
            return len(rows) == len(orders) == counted[0]["orders"]

        await eventually(complete, within=30)

        async def all_told() -> bool:
            return {order for order, _ in told.rows} == orders

        await eventually(all_told, within=30)
        await eventually(lambda: made.settled("shop"))
        audit = await made.audit("shop")
        assert audit[-1]["action"] == f"Reconciled using {strategy} strategy", audit[-1]
        assert len(made.servers()) == 1


async def test_what_would_begin_empty_is_named_and_needs_consent(tmp_path: Path) -> None:
    settings = ("--Reconciliation:DefaultStrategy=RollingUpdate",)
    async with another_shop(tmp_path, *settings, loads=False) as (shoppers, told):
        made = shoppers.made
        before = await made.process_of("shop")
        await shoppers.push("lost")
        await made.patch("shop", {"op": "replace", "path": "/logLevel", "value": "warn"})

        async def held() -> bool:
            said = await made.draas("explain", "shop")
            return "query 'totals' would begin empty" in said and "no bootstrapProvider" in said

        await eventually(held, within=30)
        assert await made.process_of("shop") == before
        assert len(await shoppers.rows("each")) == 1
        await made.draas("reconcile", "shop", "--strategy", "RollingUpdate", "--allow-state-loss")
        await eventually(lambda: made.settled("shop"), within=30)
        assert await made.process_of("shop") != before

        async def begins_empty() -> bool:
            return await shoppers.rows("each") == []

        await eventually(begins_empty)
        await shoppers.push("kept")

        async def is_told() -> bool:
            return {order for order, _ in told.rows} == {"lost", "kept"}

        await eventually(is_told)


async def test_a_candidate_that_missed_a_push_is_made_anew(tmp_path: Path) -> None:
    settings = (
        "--Reconciliation:DefaultStrategy=RollingUpdate",
        "--Health:MinimumHealthyTime=00:00:03",
    )
    async with another_shop(tmp_path, *settings) as (shoppers, told):
        made = shoppers.made
        await shoppers.push("first")
        await made.patch("shop", {"op": "replace", "path": "/logLevel", "value": "warn"})

        async def filled() -> dict[str, Any] | None:
            found = (await slots(made)).get("second")
            complete = found and found["observedComponentsDigest"] == found["componentsDigest"]
            return found if complete else None

        candidate = await eventually(filled, within=20)
        assert candidate is not None
        assert (candidate["handover"]["role"], candidate["handover"]["error"]) == ("mirrored", None)
        inside = f"http://127.0.0.1:{candidate['port']}/api/v1"
        snapshot = await made._request("GET", f"{inside}/instances/shop/snapshot", None, 200)
        assert [each["id"] for each in snapshot["reactions"]] == ["live"], "others are held"
        await made._request("POST", f"{inside}/sources/orders/stop", None, 200)
        await shoppers.push("missed")

        async def anew() -> bool:
            found = (await slots(made)).get("second")
            return bool(found and found["processId"] not in (None, candidate["processId"]))

        await eventually(anew, within=20)

        async def over() -> bool:
            return (await made.outcomes("shop"))[-1:] == ["succeeded"]

        await eventually(over, within=30, every=0.1)
        assert {row["id"] for row in await shoppers.rows("each")} == {"first", "missed"}
        assert {order for order, _ in told.rows} == {"first", "missed"}


async def test_a_candidate_that_missed_a_push_never_serves(tmp_path: Path) -> None:
    async with another_shop(tmp_path) as (shoppers, _):
        made = shoppers.made
        before = await made.process_of("shop")
        await made.daemon.end()
        candidate = {**(await made.configuration("shop")), "logLevel": "warn"}
        await made.ask("PUT", "/api/configuration/instances/shop", candidate, 202)
        opened = await made.ask("POST", f"{BASE}/slots", {"configuration": candidate}, 201)
        inside = f"http://127.0.0.1:{opened['port']}/api/v1"
        await made._request("POST", f"{inside}/sources/orders/stop", None, 200)
        await shoppers.push("missed")

        async def told_of() -> bool:
            handover = (await slots(made))["second"]["handover"]
            return "1 changes did not reach it" in (handover["error"] or "")

        await eventually(told_of, within=30)
        refused = await made.ask("POST", f"{BASE}/slots/second/switch", None, 500)
        assert "must be made anew" in refused["detail"]
        await made.ask("DELETE", f"{BASE}/slots/second", None, 204)
        assert await made.process_of("shop") == before


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param(1, id="queries are being added"),
        pytest.param(4, id="reactions are being added", marks=pytest.mark.matrix),
        pytest.param(6, id="reactions are being taken away", marks=pytest.mark.matrix),
    ],
)
async def test_a_killed_control_plane_goes_on_with_it(tmp_path: Path, edits: int) -> None:
    module = "tests.support.doomed_control_plane"
    doomed = (sys.executable, "-m", module, "edited", str(edits), "itself")
    settings = ("--Reconciliation:DefaultStrategy=RollingUpdate",)
    async with another_shop(tmp_path, *settings, control_plane=doomed) as (shoppers, told):
        made = shoppers.made
        await asyncio.gather(*(shoppers.push(f"before{n}") for n in range(5)))
        await made.patch("shop", {"op": "replace", "path": "/logLevel", "value": "warn"})
        await is_killed_and_started_again(made)

        async def over() -> bool:
            return (await made.outcomes("shop"))[-1:] == ["succeeded"]

        await eventually(over, within=40, every=0.1)
        await shoppers.push("after")
        orders = {*shoppers.pushed}

        async def complete() -> bool:
            rows = {row["id"] for row in await shoppers.rows("each")}
            return rows == orders == {order for order, _ in told.rows}

        await eventually(complete, within=30)
        assert (shoppers.failed, len(orders)) == ([], 6)
        assert [slot["role"] for slot in (await slots(made)).values()] == ["serving"]
        assert (len(made.servers()), len(made.routers())) == (1, 1)
        await eventually(lambda: made.settled("shop"))
