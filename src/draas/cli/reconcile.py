"""`draas reconcile` and `draas release`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from draas.cli import output
from draas.cli.drift import drift_of, explanation, verdict_line
from draas.cli.exit_codes import Code, CommandError
from draas.cli.output import Format, Told
from draas.cli.session import Session, progress, say
from draas.client.daemon import Entries

LOOK_EVERY = 0.3
SETTLED = ("in-sync", "held", "gone")
RECENT = 20
"""Entries of the audit in which to look for what was done meanwhile."""
_ANY = (None, "auto", "Manual")
"""Where the daemon chooses the strategy."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the daemon is asked to do."""

    instance_id: str
    strategy: str | None = None
    dry_run: bool = False
    allow_state_loss: bool = False


async def reconcile(session: Session, order: Order, patience: float | None, form: Format) -> Code:
    """Ask the daemon to look at an instance now; in a dry run, only what it would do.

    With `patience` in seconds it waits until the instance has settled.
    """
    witness = _Witness(session, order)
    await witness.begin()
    explained = await session.daemon.reconcile(
        order.instance_id,
        order.strategy,
        dry_run=order.dry_run,
        allow_state_loss=order.allow_state_loss,
    )
    if order.dry_run:
        _print(explanation(explained), explained, form)
        return Code.OK
    witness.hear(explained["plan"])
    witness.look(explained)
    at_once = explained["plan"]["decision"]
    if patience is not None and at_once not in SETTLED:
        async with progress(f"Reconciling {order.instance_id}"):
            explained = await _settled(session, order.instance_id, patience, witness)
    _print([verdict_line(order.instance_id, drift_of(explained))], explained, form)
    if order.strategy and at_once == "in-sync":
        say(f"nothing was left to do with {order.strategy}: it was in sync before")
    return _verdict(order.instance_id, explained["plan"]) or await witness.verdict()


def _print(lines: list[str], explained: dict[str, Any], form: Format) -> None:
    if form is Format.TABLE:
        output.lines(*lines)
    else:
        output.document(explained, form)


class _Witness:
    """Sees whether the strategy that was asked for does the work, or another that was faster."""

    def __init__(self, session: Session, order: Order) -> None:
        self._daemon = session.daemon
        self._order = order
        self._cares = not order.dry_run and order.strategy not in _ANY
        self._right = {order.strategy}
        self._seen: dict[str, None] = {}
        self._last = 0

    async def begin(self) -> None:
        """Before anything is asked for."""
        if self._cares:
            newest = await self._daemon.audit(Entries(instance_id=self._order.instance_id, limit=1))
            self._last = newest[0]["sequence"] if newest else 0

    def hear(self, plan: dict[str, Any]) -> None:
        """What the daemon makes of the order; where that is another strategy it says why."""
        if self._cares and plan["decision"] == "begin" and plan["strategy"] not in self._right:
            self._right.add(plan["strategy"])
            why = plan["strategyReason"]
            say(f"{plan['strategy']} is used instead of {self._order.strategy}: {why}")

    def look(self, explained: dict[str, Any]) -> None:
        """What is under way now."""
        operation = (explained.get("state") or {}).get("operation")
        if self._cares and operation:
            self._seen[operation["strategy"]] = None

    async def verdict(self) -> Code:
        """Whether it was another one, which is said; the audit knows what was too quick to see."""
        if not self._cares:
            return Code.OK
        recent = Entries(instance_id=self._order.instance_id, limit=RECENT)
        for entry in reversed(await self._daemon.audit(recent)):
            if entry["sequence"] > self._last and entry["operationId"] and entry["strategy"]:
                self._seen[entry["strategy"]] = None
        if not self._seen or self._right & self._seen.keys():
            return Code.OK
        say(
            f"{self._order.strategy} was not used: {', '.join(self._seen)} was under way before; "
            "where the choice matters let plans wait for a person, and approve one with --strategy"
        )
        return Code.CONFLICT


async def _settled(
    session: Session, instance_id: str, timeout: float, witness: _Witness
) -> dict[str, Any]:
    try:
        async with asyncio.timeout(timeout):
            while True:
                explained = await session.daemon.explain(instance_id)
                witness.look(explained)
                under_way = (explained.get("state") or {}).get("operation")
                if explained["plan"]["decision"] in SETTLED and not under_way:
                    return explained
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError:
        raise CommandError(
            f"{instance_id} did not settle in {timeout:g} s; `draas explain {instance_id}` says "
            "what it waits for",
            Code.UNKNOWN,
        ) from None


def _verdict(instance_id: str, plan: dict[str, Any]) -> Code:
    if plan["decision"] == "held":
        held = [f"{each['name']}: {each['reason']}" for each in plan["gates"] if not each["passed"]]
        say(f"held by {'; '.join(held)}; see `draas explain {instance_id}`")
        return Code.CONFLICT
    return Code.UNKNOWN if plan["decision"] == "unknown" else Code.OK


async def release(session: Session, instance_id: str, form: Format) -> Code:
    """Lift a quarantine: of an instance, or of a configuration for the whole fleet."""
    data: dict[str, Any] = {"id": instance_id}
    if instance_id.startswith("sha256:"):
        on = await session.daemon.release_everywhere(instance_id)
        data, line = {"digest": instance_id, "instances": on}, f"released: {', '.join(on)}"
        lifted = bool(on)
    else:
        lifted = await session.daemon.release(instance_id)
        line = "released: its configuration is tried again"
    data["result"] = "released" if lifted else "unchanged"
    said = line if lifted else "is not in quarantine"
    output.told(Told(f"{instance_id} {said}", data), form)
    return Code.OK
