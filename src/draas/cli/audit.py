"""`draas audit`."""

from __future__ import annotations

from collections.abc import Sized
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import typer

from draas.cli import output
from draas.cli.exit_codes import Code, CommandError
from draas.cli.output import AuditFormat
from draas.cli.session import Session, say
from draas.cli.text import local_time, seconds
from draas.client.daemon import EVERY_ENTRY, Entries
from draas.client.port import GarbageError, UnreachableError

_NONE = (
    "The audit has no entries: none was written yet, all have expired (Audit:Retention), or "
    "Reconciliation:EnableAuditLogging=false."
)
_COLUMNS = ("NO", "TIME", "INSTANCE", "OUTCOME", "ACTION", "WHY", "TOOK")


async def audit(session: Session, which: Entries, form: AuditFormat, verify: bool) -> Code:
    """Print entries of the audit, or whether its chain holds."""
    if verify:
        if which != EVERY_ENTRY:
            raise CommandError("--verify is of the whole audit; give nothing else", Code.USAGE)
        return await _verify(session, form)
    if form is AuditFormat.NDJSON:
        lines = await session.daemon.export(which)
        await _require_known(session, which.instance_id, lines)
        print(lines, end="")
        return Code.OK
    entries = await session.daemon.audit(which)
    await _require_known(session, which.instance_id, entries)
    if form is not AuditFormat.TABLE:
        output.document(entries, form)
    elif entries:
        output.console().print(output.table(_COLUMNS, map(_row, entries)))
    else:
        output.lines(_none(which))
    return Code.OK


def moment(option: str, given: str | None) -> str | None:
    """A time as the audit is asked for it; without an offset it is local, as times are shown.

    Raises:
        BadParameter: it is none.
    """
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{given!r} is no time; write it as 2026-01-31T12:00", param_hint=option
        ) from None


def _none(which: Entries) -> str:
    if which != EVERY_ENTRY:
        return "The audit has no such entry."
    return _NONE


async def _require_known(session: Session, instance_id: str | None, found: Sized) -> None:
    """That nothing is said of an instance means something only if there is one."""
    if instance_id is None or found:
        return
    with suppress(UnreachableError, GarbageError):  # the audit itself has answered
        await session.daemon.explain(instance_id)


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


async def _verify(session: Session, form: AuditFormat) -> Code:
    verdict = await session.daemon.verify()
    if form is not AuditFormat.TABLE:
        output.document(verdict, form)
    if verdict["intact"]:
        if form is AuditFormat.TABLE:
            print(f"The audit is intact: {verdict['checked']} entries, each follows from the last.")
        return Code.OK
    say(f"The audit was changed at entry {verdict['brokenAt']}: {verdict['reason']}")
    return Code.FAILED
