"""Roll-outs by two slots while a shop is busy: nothing fails, is lost, or comes twice."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import EACH, Load, Told, insertion, shop, under_load, webhook
from tests.e2e.world import World, world
from tests.support.eventually import eventually

DRAIN = timedelta(seconds=1)
BEGIN, SERVE = ("checking", "opening", "proving"), ("switching", "verifying")
PHASES = {
    "RollingUpdate": [*BEGIN, *SERVE, "closing", "finished"],
    "BlueGreen": [*BEGIN, "testing", *SERVE, "soaking", "closing", "finished"],
    "Canary": [*BEGIN, *("shifting", "analysing") * 3, *SERVE, "closing", "finished"],
}
SETTINGS = (
    "--Health:MinimumHealthyTime=00:00:00.5",
    f"--TwoSlots:DrainTime=00:00:0{DRAIN.total_seconds():g}",
    "--BlueGreen:SoakTime=00:00:02",
    *("--Canary:Steps:0=20", "--Canary:Steps:1=50", "--Canary:Steps:2=100"),
    "--Analysis:StepTime=00:00:01",
)
SOON = timedelta(seconds=2)
BEFORE = {f"before{number}": number for number in range(20)}


def change(number: int) -> dict[str, Any]:
    """What the n-th roll-out changes: a setting of the server, or the text of a query."""
    if number % 2:
        text = f"MATCH (o:Order) WHERE o.price > -{number} RETURN o.id AS id, o.price AS price"
        return {"op": "replace", "path": "/queries/1", "value": {**EACH, "query": text}}
    level = "debug" if number % 4 else "warn"
    return {"op": "add", "path": "/logLevel", "value": level}


@pytest.mark.timeout(170)
@pytest.mark.parametrize(
    ("rate", "times"),
    [
        pytest.param(100, 1, id="once"),
        pytest.param(300, 5, id="five times", marks=pytest.mark.matrix),
    ],
)
@pytest.mark.parametrize("strategy", sorted(PHASES))
async def test_a_roll_out_under_load_is_not_noticed(
    tmp_path: Path, strategy: str, rate: float, times: int
) -> None:
    settings = (*SETTINGS, f"--Reconciliation:DefaultStrategy={strategy}")
    async with webhook() as told, world(tmp_path, settings=settings) as made:
        document = shop(told.url)
        await made.create("shop", **document)
        for order, price in BEFORE.items():
            url = f"http://127.0.0.1:{document['port']}/api/v1/sources/orders/push"
            await made._request("POST", url, insertion(order, price), 200)
        async with under_load(document, rate, streams=8) as load:
            for number in range(times):
                await busy(load)
                await made.patch("shop", change(number))
                await rolled_out(made, number + 1, load)
            await busy(load)
        assert [why for _, why in load.failed] == []
        await exact(made, document["port"], load, told)
        await told_in_full(made, strategy, times, load)
        await nothing_is_left(made)


async def busy(load: Load) -> None:
    seen = load.reads

    async def more() -> bool:
        return load.reads > seen + 100

    await eventually(more, within=20)


async def rolled_out(made: World, times: int, load: Load) -> None:
    async def ended() -> list[str] | None:
        ends = [o for o in await made.outcomes("shop") if o not in ("started", "adopted")]
        return ends if len(ends) >= times or load.failed else None

    outcomes = await eventually(ended, within=60, every=0.2)
    assert (load.failed, outcomes) == ([], ["succeeded"] * times), await made.audit("shop")


async def exact(made: World, port: int, load: Load, told: Told) -> None:
    """Counts, sums and webhooks are those of what was answered, each once."""
    orders = {**BEFORE, **load.orders}
    url = f"http://127.0.0.1:{port}/api/v1/queries/totals/results"

    async def summed() -> bool:
        rows = (await made._request("GET", url, None, 200))["data"]
        return bool(rows == [{"orders": len(orders), "revenue": sum(orders.values())}])

    await eventually(summed, within=30)
    expected = Counter([*BEFORE.items(), *load.changes])

    async def all_told() -> bool:
        return told.rows.total() >= expected.total()

    await eventually(all_told, within=30)
    assert told.rows == expected


async def told_in_full(made: World, strategy: str, times: int, load: Load) -> None:
    """The audit and the steps of each roll-out; streams that ended had their time to drain."""
    entries = [each for each in await made.audit("shop") if each["operationId"]]
    assert [(each["strategy"], each["outcome"]) for each in entries] == [
        (strategy, "started"),
        (strategy, "succeeded"),
    ] * times
    assert all(each["differences"] and each["plan"] for each in entries)
    deadlines = []
    for entry in entries[::2]:
        path = f"/api/reconciliation/operations/{entry['operationId']}"
        steps = (await made.ask_daemon(path))["steps"]
        assert [phase for phase, _ in groupby(each["phase"] for each in steps)] == PHASES[strategy]
        closing = next(each for each in steps if each["phase"] == "closing")
        deadlines.append(datetime.fromisoformat(closing["at"]) + DRAIN)
    early = [at for at in load.ends if not any(timedelta() <= at - due < SOON for due in deadlines)]
    assert early == []
    assert (await made.ask_daemon("/api/reconciliation/audit/verify"))["intact"]


async def nothing_is_left(made: World) -> None:
    """One slot, one process, no file of a slot that is gone."""
    found = await made.ask("GET", "/api/servers/instances/shop/slots", None, 200)
    assert len(found["slots"]) == 1
    assert len(made.servers()) == 1
    files = [str(path.relative_to(made.directory)) for path in made.directory.rglob("*")]
    assert not [name for name in files if name.endswith(".ndjson")]
