"""Run a world from its plan to its verdict."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from draas.reconciliation.store import AuditQuery
from draas.testing.faults import SOUND, Plan
from draas.testing.processes import ProcessLoop
from draas.testing.world import BrokenError, Parts, World

LONGEST_REST = 1800.0
QUIET_SECONDS = 90.0
"""Longer than every back-off and hold."""
LONG_QUIET_SECONDS = 330.0
"""Longer than the time after which the whole fleet is listed again."""
LONG_EVERY = 3
"""One of so many worlds has the long quiet, which costs as much as all that comes before it."""
_ENDS = ("succeeded", "rolled-back", "failed", "superseded")
_LEVELS = {"DRaaS": logging.ERROR, "asyncio": logging.CRITICAL + 1}


@dataclass(frozen=True)
class Verdict:
    """How a world went: `rule` did not hold, and `broken` tells the rest; both empty if all did."""

    plan: Plan
    rule: str
    broken: str
    virtual_seconds: float


def simulate(plan: Plan, parts: Parts = Parts()) -> Verdict:  # noqa: B008 - a frozen value
    """Let the planned world happen; the same plan gives the same verdict."""
    with _listening() as ear, asyncio.Runner(loop_factory=ProcessLoop) as runner:
        return runner.run(_lived(plan, parts, ear))


async def _lived(plan: Plan, parts: Parts, ear: _Ear) -> Verdict:
    world = ear.world = World(plan, parts)
    try:
        await world.begin()
        await world.trouble()
        await _come_to_rest(world)
        await _keep_quiet(world)
        await _have_told_all(world)
        rule = broken = ""
    except BrokenError as error:
        rule, broken = error.rule, str(error)
    finally:
        seconds = world.clock.monotonic()
        await world.end()
    return Verdict(plan, rule, broken, seconds)


async def _come_to_rest(world: World) -> None:
    """Without faults each instance comes to what it should be."""
    world.tell("no more faults")
    began = world.clock.monotonic()
    while unrest := world.unrest():
        rested = world.clock.monotonic() - began
        if rested > LONGEST_REST:
            world.broken("does not come to rest", "; ".join(unrest))
        if rested % 60 < 1:
            world.hands.help(world.names)
        await world.sleep(1.0)
    world.tell("at rest")


async def _keep_quiet(world: World) -> None:
    """At rest nothing is started or stopped any more."""
    before = world.settled_log()
    long = world.plan.seed % LONG_EVERY == 0
    await world.sleep(LONG_QUIET_SECONDS if long else QUIET_SECONDS)
    unrest, done = world.unrest(), world.settled_log()[len(before) :]
    if unrest or done:
        world.broken("does not stay at rest", "; ".join(unrest) or str(done))
    await world.sleep(0)


async def _have_told_all(world: World) -> None:
    """The audit is chained, each story in it has its end, and no sound digest is blamed."""
    if not (await world.store.verify_audit()).intact:
        world.broken("the chain of the audit is broken", "at its end")
    stories: dict[str, list[str]] = {}
    for entry in reversed(await world.store.audit(AuditQuery(limit=100_000))):
        if entry.operation_id:
            stories.setdefault(entry.operation_id, []).append(entry.outcome)
    open_ones = {each.id for each in (await world.store.open_operations()).values()}
    for operation_id, outcomes in stories.items():
        ends = [outcome for outcome in outcomes if outcome in _ENDS]
        expected = 0 if operation_id in open_ones else 1
        if outcomes[0] != "started" or outcomes.count("started") != 1 or len(ends) != expected:
            world.broken("the audit is not complete", f"{operation_id} says {outcomes}")
    for memory in (await world.store.memories()).values():
        for held in memory.quarantines:
            sound = world.people.kinds[held.digest] == SOUND
            if sound and not world.people.doubt(held.digest, memory.instance_id):
                world.broken("a sound configuration is in quarantine", memory.instance_id)
    await world.sleep(0)


class _Ear(logging.Handler):
    """Hears what daemons log: of a world only an error that nobody expected is of use."""

    world: World | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the world of an error that nobody expected."""
        error = record.exc_info[1] if record.exc_info else None
        if self.world is not None and isinstance(error, Exception):
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{error!r} in {at.name}, {at.filename}:{at.lineno}"
            self.world.broken("an error that nobody expected", where)


@contextmanager
def _listening() -> Iterator[_Ear]:
    """Nothing is printed of what daemons log."""
    root, ear = logging.getLogger(), _Ear()
    handlers, before = root.handlers, {name: logging.getLogger(name).level for name in _LEVELS}
    root.handlers = [ear]
    for name, level in _LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield ear
    finally:
        root.handlers = handlers
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
