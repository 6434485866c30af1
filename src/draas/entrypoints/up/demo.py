"""Three servers with real engines, and a look at how they heal."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from draas.cli.addresses import CONTROL_PLANE, DAEMON, Addresses
from draas.client.operators import Operators
from draas.entrypoints.up.story import Story

LABELS = {"demo": "true"}
LOOK_EVERY = 0.3
LONGEST = 60.0
MANY = "MATCH (c:Counter) WHERE c.value > 100 RETURN c.value AS number"

Tell = Callable[[str], None]


def _instance(
    name: str, description: str, source: dict[str, Any], queries: dict[str, str]
) -> dict[str, Any]:
    subscription = [{"sourceId": source["id"]}]
    return {
        "id": name,
        "name": name.capitalize(),
        "description": description,
        "labels": LABELS,
        "configuration": {
            "logLevel": "info",
            "sources": [{"kind": "mock", "autoStart": True, **source}],
            "queries": [
                {"id": key, "query": text, "autoStart": True, "sources": subscription}
                for key, text in queries.items()
            ],
            "reactions": [
                {"kind": "log", "id": "log", "queries": list(queries), "autoStart": True}
            ],
        },
    }


INSTANCES = (
    _instance(
        "orders",
        "Orders that come in, numbered",
        {"id": "shop", "intervalMs": 2000, "dataType": {"type": "counter"}},
        {
            "all-orders": "MATCH (c:Counter) RETURN c.value AS number",
            "first-orders": "MATCH (c:Counter) WHERE c.value <= 10 RETURN c.value AS number",
        },
    ),
    _instance(
        "sensors",
        "Rooms that are measured",
        {"id": "rooms", "intervalMs": 1000, "dataType": {"type": "sensorReading"}},
        {
            "temperatures": "MATCH (r:SensorReading) "
            "RETURN r.sensor_id AS room, r.temperature AS temperature",
            "warm": "MATCH (r:SensorReading) WHERE r.temperature > 25 "
            "RETURN r.sensor_id AS room, r.temperature AS temperature",
            "rooms": "MATCH (r:SensorReading) RETURN count(r) AS rooms",
        },
    ),
    _instance(
        "alerts",
        "Messages of any kind",
        {"id": "feed", "intervalMs": 3000, "dataType": {"type": "generic"}},
        {"high": "MATCH (g:Generic) WHERE g.value > 0 RETURN g.value AS value"},
    ),
)


async def create(control_plane: Operators, tell: Tell) -> bool:
    """Make those of the three that are missing and start them; whether all are new."""
    made = []
    for each in INSTANCES:
        if await control_plane.find(each["id"]) is None:
            await control_plane.create(each)
            await control_plane.lifecycle(each["id"], "start")
            made.append(each["id"])
            tell(f"{each['id']} is running: {each['description'].lower()}")
    if not made:
        tell("The three servers are there from an earlier run.")
    return len(made) == len(INSTANCES)


async def until_running(control_plane: Operators, tell: Tell) -> None:
    """Wait until all three that should run do; those that somebody stopped stay stopped."""
    waiting: list[str] = []
    try:
        async with asyncio.timeout(LONGEST):
            while True:
                waiting = []
                for each in INSTANCES:
                    state = await control_plane.instance(each["id"])
                    wanted = state["desiredRunState"] == "Running"
                    if wanted and (state["status"], state["health"]) != ("Running", "Healthy"):
                        waiting.append(each["id"])
                if not waiting:
                    return
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        tell(f"Still not running: {', '.join(waiting)}; `draas explain {waiting[0]}` says why.")


async def show_healing(control_plane: Operators, story: Story, data: Path, tell: Tell) -> None:
    """Change one server's configuration, kill another's process, and wait until both are healed."""
    before = story.last
    tell("See it heal: a query of orders is changed, and the process of sensors is killed.")
    operations = [{"op": "replace", "path": "/queries/1/query", "value": MANY}]
    await control_plane.patch("orders", operations)
    process_id = await control_plane.process_id("sensors")
    if process_id is not None and _is_ours(process_id, data):
        os.kill(process_id, signal.SIGKILL)
    try:
        async with asyncio.timeout(LONGEST):
            for instance_id in ("orders", "sensors"):
                await story.until_healed(instance_id, before)
    except TimeoutError:
        tell("They take longer than expected; `draas drift` and `draas audit` say more.")


def _is_ours(process_id: int, data: Path) -> bool:
    """Whether the process works with files of this fleet: nothing else is ever killed."""
    try:
        arguments = psutil.Process(process_id).cmdline()
    except psutil.Error:
        return False
    return any(argument.startswith(f"{data.resolve()}{os.sep}") for argument in arguments)


def next_steps(addresses: Addresses) -> list[str]:
    """Commands to copy, with the addresses that are right here."""
    draas = _program()
    url = addresses.control_plane
    lines = ["", "Try in another terminal:"]
    if addresses != Addresses(CONTROL_PLANE, DAEMON):
        lines += [
            f"  export DRAAS_CONTROL_PLANE_URL={url}",
            f"  export DRAAS_DAEMON_URL={addresses.daemon}",
        ]
    change = '[{"op": "replace", "path": "/queries/0/query", "value": "MATCH (c) RETURN c.value"}]'
    return [
        *lines,
        f"  {draas} get",
        f"  {draas} drift",
        f"  {draas} patch orders --set 'queries[all-orders].query=MATCH (c) RETURN c.value AS n'",
        f"  curl -X PATCH {url}/api/configuration/instances/orders \\",
        f"    -H 'Content-Type: application/json-patch+json' -d '{change}'",
        f"  kill -9 $(curl -s {url}/api/status/alerts/status"
        r""" | sed 's/.*"processId":"\([0-9]*\)".*/\1/')""",
        f"  {draas} explain orders",
        f"  {draas} audit",
        f"  {url}/docs in a browser",
        "",
    ]


def _program() -> str:
    """How `draas` is called here."""
    if shutil.which("draas"):
        return "draas"
    beside = Path(sys.executable).with_name("draas")
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)
