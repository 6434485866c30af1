"""`draas audit`."""

from __future__ import annotations

from typing import Any

from draas.cli import output
from draas.cli.exit_codes import Code
from draas.cli.output import AuditFormat
from draas.cli.session import Session, say
from draas.cli.text import local_time, seconds

_COLUMNS = ("NO", "TIME", "INSTANCE", "OUTCOME", "ACTION", "WHY", "TOOK")


async def audit(
    session: Session, instance_id: str | None, limit: int | None, form: AuditFormat, verify: bool
) -> Code:
    """Print entries of the audit, or whether its chain holds."""
    if verify:
        return await _verify(session)
    if form is AuditFormat.NDJSON:
        print(await session.daemon.export(instance_id, limit), end="")
        return Code.OK
    entries = await session.daemon.audit(instance_id, limit)
    if form is not AuditFormat.TABLE:
        output.document(entries, form)
    elif entries:
        output.console().print(output.table(_COLUMNS, map(_row, entries)))
    else:
        output.lines("Nothing was done yet.")
    return Code.OK


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (
        entry["sequence"],
        local_time(entry["timestamp"]),
        entry["instanceId"],
        entry["outcome"],
        entry["action"],
        "; ".join(entry["summary"]) or entry["cause"],
        seconds(entry["durationSeconds"]),
    )


async def _verify(session: Session) -> Code:
    verdict = await session.daemon.verify()
    if verdict["intact"]:
        print(f"The audit is intact: {verdict['checked']} entries, each follows from the last.")
        return Code.OK
    say(f"The audit was changed at entry {verdict['brokenAt']}: {verdict['reason']}")
    return Code.FAILED
