"""`draas get`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which instances are shown, and how: one by its id, or all that have the labels."""

    instance_id: str | None
    labels: list[str]
    form: ListFormat
    configurations: bool = False

    @property
    def for_programs(self) -> bool:
        """Whether whole documents are printed."""
        return self.form in (ListFormat.JSON, ListFormat.YAML)


async def get(session: Session, wanted: Wanted, watch: bool) -> Code:
    """Print instances, once or again at each change."""
    _require_sense(wanted)
    if watch:
        return await _watch(session, wanted)
    _print(await _read(session, wanted), wanted)
    return Code.OK


def _require_sense(wanted: Wanted) -> None:
    for label in wanted.labels:
        if "=" not in label:
            raise CommandError(f"--label {label}: write it as KEY=VALUE", Code.USAGE)
    if wanted.instance_id is not None and wanted.labels:
        raise CommandError("give an ID or --label, not both", Code.USAGE)
    if wanted.configurations and not wanted.for_programs:
        raise CommandError("--configurations goes with -o yaml or -o json", Code.USAGE)


async def _read(session: Session, wanted: Wanted) -> Any:
    control_plane = session.control_plane
    if wanted.instance_id is not None:
        instance = await control_plane.instance(wanted.instance_id)
        if wanted.for_programs:
            instance["configuration"], _ = await control_plane.configuration(wanted.instance_id)
        return instance
    found = await control_plane.instances(wanted.labels)
    if wanted.configurations:
        of = await control_plane.configurations()
        # One that came or went between the two answers is left out.
        found = [{**each, "configuration": of[each["id"]]} for each in found if each["id"] in of]
    return sorted(found, key=lambda each: str(each.get("id")))


def _print(found: Any, wanted: Wanted) -> None:
    if wanted.for_programs:
        output.document(found, wanted.form)
    elif found == []:
        output.lines(_none(wanted.labels))
    else:
        output.console().print(_table(found, wanted.form))


def _none(labels: list[str]) -> str:
    if labels:
        return f"No instance has {' and '.join(labels)}."
    return "There are no instances; `draas apply -f FILE` makes some."


def _table(found: Any, form: ListFormat) -> Table:
    columns = _COLUMNS | _MORE if form is ListFormat.WIDE else _COLUMNS
    instances = found if isinstance(found, list) else [found]
    rows = [[each.get(name) for name in columns.values()] for each in instances]
    return output.table(list(columns), rows)


async def _watch(session: Session, wanted: Wanted) -> Code:
    """Until Ctrl-C; the cursor is taken before reading, so that no change is missed."""
    control_plane = session.control_plane
    cursor = await control_plane.cursor()
    shown: Any = None
    while True:
        found = await _read(session, wanted)
        if found != shown:
            if sys.stdout.isatty() and not wanted.for_programs:
                output.console().clear()
            _print(found, wanted)
            sys.stdout.flush()
            shown = found
        cursor = await control_plane.next_change(cursor, LONGEST_WAIT)
