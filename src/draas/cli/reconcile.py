"""`draas reconcile` and `draas release`."""

from __future__ import annotations

import asyncio
from typing import Any

from draas.cli import output
from draas.cli.drift import drift_of, explanation, verdict_line
from draas.cli.exit_codes import Code, CommandError
from draas.cli.session import Session, progress, say

LOOK_EVERY = 0.3
SETTLED = ("in-sync", "held", "gone")


async def reconcile(
    session: Session,
    instance_id: str,
    strategy: str | None,
    dry_run: bool,
    wait: bool,
    timeout: float,
    allow_state_loss: bool,
) -> Code:
    """Ask the daemon to look at an instance now; in a dry run, only what it would do."""
    explained = await session.daemon.reconcile(
        instance_id, strategy, dry_run=dry_run, allow_state_loss=allow_state_loss
    )
    if dry_run:
        output.lines(*explanation(explained))
        return Code.OK
    if wait and explained["plan"]["decision"] not in SETTLED:
        async with progress(f"Reconciling {instance_id}"):
            explained = await _settled(session, instance_id, timeout)
    output.lines(verdict_line(instance_id, drift_of(explained)))
    return _verdict(instance_id, explained["plan"])


async def _settled(session: Session, instance_id: str, timeout: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(timeout):
            while True:
                explained = await session.daemon.explain(instance_id)
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


async def release(session: Session, instance_id: str) -> Code:
    """Lift a quarantine: of an instance, or of a configuration for the whole fleet."""
    if instance_id.startswith("sha256:"):
        released = await session.daemon.release_everywhere(instance_id)
        print(f"{instance_id} released{': ' if released else ''}{', '.join(released)}")
    elif await session.daemon.release(instance_id):
        print(f"{instance_id} released: its configuration is tried again")
    else:
        print(f"{instance_id} is not in quarantine")
    return Code.OK
