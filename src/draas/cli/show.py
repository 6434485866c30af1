"""`draas get`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from draas.cli import output
from draas.cli.exit_codes import Code, CommandError
from draas.cli.output import ListFormat
from draas.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table

LONGEST_WAIT = 30.0

_COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "STATUS": "status",
    "DESIRED": "desiredRunState",
    "HEALTH": "health",
    "GENERATION": "generation",
    "REASON": "reason",
}
_MORE = {
    "PLATFORM": "platformType",
    "LABELS": "labels",
    "APPLIED": "appliedGeneration",
    "LAST GOOD": "lastGoodGeneration",
    "CREATED": "createdAt",
}


async def get(
    session: Session, instance_id: str | None, form: ListFormat, watch: bool, labels: list[str]
) -> Code:
    """Print instances, once or again at each change."""
    for label in labels:
        if "=" not in label:
            raise CommandError(f"--label {label}: write it as KEY=VALUE", Code.USAGE)
    if watch:
        return await _watch(session, instance_id, form, labels)
    _print(await _read(session, instance_id, form, labels), form)
    return Code.OK


async def _read(
    session: Session, instance_id: str | None, form: ListFormat, labels: list[str]
) -> Any:
    control_plane = session.control_plane
    if instance_id is None:
        found = await control_plane.instances(labels)
        return sorted(found, key=lambda each: str(each.get("id")))
    instance = await control_plane.instance(instance_id)
    if form in (ListFormat.JSON, ListFormat.YAML):
        instance["configuration"], _ = await control_plane.configuration(instance_id)
    return instance


def _print(found: Any, form: ListFormat) -> None:
    if form in (ListFormat.JSON, ListFormat.YAML):
        output.document(found, form)
    elif found == []:
        output.lines("There are no instances; `draas apply -f FILE` makes some.")
    else:
        output.console().print(_table(found, form))


def _table(found: Any, form: ListFormat) -> Table:
    columns = _COLUMNS | _MORE if form is ListFormat.WIDE else _COLUMNS
    instances = found if isinstance(found, list) else [found]
    rows = [[each.get(name) for name in columns.values()] for each in instances]
    return output.table(list(columns), rows)


async def _watch(
    session: Session, instance_id: str | None, form: ListFormat, labels: list[str]
) -> Code:
    """Until Ctrl-C; the cursor is taken before reading, so that no change is missed."""
    control_plane = session.control_plane
    cursor = await control_plane.cursor()
    shown: Any = None
    while True:
        found = await _read(session, instance_id, form, labels)
        if found != shown:
            if sys.stdout.isatty() and form in (ListFormat.TABLE, ListFormat.WIDE):
                output.console().clear()
            _print(found, form)
            sys.stdout.flush()
            shown = found
        cursor = await control_plane.next_change(cursor, LONGEST_WAIT)
