"""Run a world from its plan to its verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from draas.reconciliation.store import AuditQuery
from draas.testing.faults import SOUND, Plan
from draas.testing.processes import ProcessLoop
from draas.testing.world import BrokenError, Parts, World

LONGEST_REST = 1800.0
QUIET_SECONDS = 330.0
"""Longer than every back-off, and than the time after which the whole fleet is listed again."""
_ENDS = ("succeeded", "rolled-back", "failed", "superseded")
_LOUD = ("DRaaS", "asyncio")


@dataclass(frozen=True)
class Verdict:
    """How a world went: `broken` says when what did not hold, and is empty if all did."""

    plan: Plan
    broken: str
    virtual_seconds: float


def simulate(plan: Plan, parts: Parts = Parts()) -> Verdict:  # noqa: B008 - a frozen value
    """Let the planned world happen; the same plan gives the same verdict."""
    with _quiet(), asyncio.Runner(loop_factory=ProcessLoop) as runner:
        return runner.run(_lived(plan, parts))


async def _lived(plan: Plan, parts: Parts) -> Verdict:
    world = World(plan, parts)
    try:
        await world.begin()
        await world.trouble()
        await _come_to_rest(world)
        await _keep_quiet(world)
        await _have_told_all(world)
        broken = ""
    except BrokenError as error:
        broken = str(error)
    finally:
        seconds = world.clock.monotonic()
        await world.end()
    return Verdict(plan, broken, seconds)


async def _come_to_rest(world: World) -> None:
    """Without faults each instance comes to what it should be."""
    world.tell("no more faults")
    limit = world.clock.monotonic() + LONGEST_REST
    while unrest := _unrest(world):
        if world.clock.monotonic() > limit:
            world.broken("does not come to rest: " + "; ".join(unrest))
        await world.sleep(1.0)


async def _keep_quiet(world: World) -> None:
    """At rest nothing is started or stopped any more."""
    await world.sleep(60.0)
    before = _calm_log(world)
    await world.sleep(QUIET_SECONDS)
    unrest, done = _unrest(world), _calm_log(world)[len(before) :]
    if unrest or done:
        world.broken(f"does not stay at rest: {'; '.join(unrest) or done}")
    await world.sleep(0)


def _unrest(world: World) -> list[str]:
    return [why for name in world.names if (why := _unrest_of(world, name))]


def _unrest_of(world: World, name: str) -> str:
    server, kind = world.plane.servers[name], world.people.kind
    operation = world.invariants.open_operation(name)
    if not server.wanted:
        if server.running is not None:
            return f"{name} runs and was stopped"
        return f"{name} has an open operation" if operation else ""
    if _hopeless(world, name):
        return ""
    desired = server.history[-1]
    good = None if server.good is None else server.history[server.good - 1]
    if server.running is None:
        return f"{name} is down: {server.reason}"
    digest = world.plane.digests.whole
    if kind(desired) == "obscure" and digest(server.running) == digest(desired):
        return ""
    wanted = desired if kind(desired) == SOUND or good is None else good
    if digest(server.running) != digest(wanted):
        return f"{name} runs something else"
    if kind(server.running) == "dying":
        return f"{name} will end soon"
    if operation:
        return f"{name} has an open operation"
    return f"{name} is {server.health}" if server.health != "Healthy" else ""


def _hopeless(world: World, name: str) -> bool:
    """Whether nothing that this instance was ever given can run well."""
    server, kind = world.plane.servers[name], world.people.kind
    if kind(server.history[-1]) in (SOUND, "obscure"):
        return False
    good = {n for n in (server.good, server.earlier_good) if n is not None}
    return not any(kind(server.history[n - 1]) == SOUND for n in good)


def _calm_log(world: World) -> list[tuple[str, str]]:
    hopeless = {name for name in world.names if _hopeless(world, name)}
    return [entry for entry in world.plane.log if entry[1] not in hopeless]


async def _have_told_all(world: World) -> None:
    """The audit is chained, each story in it has its end, and no sound digest is blamed."""
    if not (await world.store.verify_audit()).intact:
        world.broken("the chain of the audit is broken")
    stories: dict[str, list[str]] = {}
    for entry in reversed(await world.store.audit(AuditQuery(limit=100_000))):
        if entry.operation_id:
            stories.setdefault(entry.operation_id, []).append(entry.outcome)
    open_ones = {each.id for each in (await world.store.open_operations()).values()}
    for operation_id, outcomes in stories.items():
        ends = [outcome for outcome in outcomes if outcome in _ENDS]
        expected = 0 if operation_id in open_ones else 1
        if outcomes[0] != "started" or outcomes.count("started") != 1 or len(ends) != expected:
            world.broken(f"the audit of operation {operation_id} says {outcomes}")
    for memory in (await world.store.memories()).values():
        for held in memory.quarantines:
            if world.people.kinds[held.digest] == SOUND:
                world.broken(f"{memory.instance_id}: a sound configuration is in quarantine")
    await world.sleep(0)


@contextmanager
def _quiet() -> Iterator[None]:
    """What daemons log of a world is of no use: its story is told otherwise."""
    before = {name: logging.getLogger(name).level for name in _LOUD}
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
