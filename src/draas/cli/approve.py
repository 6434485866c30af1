"""`draas approvals`, `draas approve` and `draas reject`."""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from draas.cli import output
from draas.cli.exit_codes import Code
from draas.cli.output import Format, Told
from draas.cli.session import Session
from draas.client.operators import Document

COLUMNS = ("INSTANCE", "DRIFT", "PLAN")


async def approvals(session: Session, form: Format) -> Code:
    """List the plans that wait for a person."""
    waiting = await session.daemon.waiting_for_approval()
    if form is Format.TABLE and not waiting:
        output.lines("No plan waits for an approval.")
    elif form is Format.TABLE:
        rows = [(each["instanceId"], _kinds(each), each["planDigest"] or "") for each in waiting]
        output.console().print(output.table(COLUMNS, rows))
    else:
        output.document(waiting, form)
    return Code.OK


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed to, and how far; `None` leaves it to the settings."""

    plan: str
    strategy: str | None = None
    reason: str = ""
    seconds: float | None = None
    allow_state_loss: bool = False


async def approve(
    session: Session, instance_id: str, terms: Terms, by: str | None, form: Format
) -> Code:
    """Agree to exactly this plan."""
    body: Document = {"plan": terms.plan, "reason": terms.reason}
    if terms.strategy is not None:
        body["strategy"] = terms.strategy
    if terms.seconds is not None:
        body["expiresInSeconds"] = terms.seconds
    if terms.allow_state_loss:
        body["allowStateLoss"] = True
    answer = await session.daemon.judge(instance_id, "approve", body, by or getpass.getuser())
    until = answer["until"]
    data = {"id": instance_id, "result": "approved", "plan": terms.plan, "until": until}
    output.told(Told(f"{instance_id}: the plan is approved until {until}", data), form)
    return Code.OK


async def reject(
    session: Session, instance_id: str, plan: str, reason: str, by: str | None, form: Format
) -> Code:
    """Refuse this plan: it is held until something about it changes."""
    body = {"plan": plan, "reason": reason}
    await session.daemon.judge(instance_id, "reject", body, by or getpass.getuser())
    data = {"id": instance_id, "result": "rejected", "plan": plan}
    line = f"{instance_id}: the plan is rejected, and held until it changes"
    output.told(Told(line, data), form)
    return Code.OK


def _kinds(line: Document) -> str:
    return ", ".join(line["drift"]["kinds"])
