"""What commands print on stdout: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from draas.cli.text import cell, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNBOUNDED = 10_000
"""Columns of what is no terminal: lines for `grep` are never wrapped."""

_COLOURS = {
    "Running": "green",
    "Healthy": "green",
    "in-sync": "green",
    "succeeded": "green",
    "Error": "red",
    "Unhealthy": "red",
    "failed": "red",
    "drifted": "yellow",
    "Degraded": "yellow",
    "rolled-back": "yellow",
    "held": "yellow",
    "Unknown": "magenta",
    "unknown": "magenta",
}


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


class ListFormat(StrEnum):
    """How instances are printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


class AuditFormat(StrEnum):
    """How the audit is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Told:
    """What a command did: a line for people, an object for programs."""

    line: str
    data: Mapping[str, Any]


def told(done: Told, form: Format) -> None:
    """Print what a command did."""
    if form is Format.TABLE:
        print(printable(done.line))
    else:
        document(dict(done.data), form)


def document(value: Any, form: str) -> None:
    """Print a value as JSON or YAML."""
    if form == "json":
        print(json.dumps(value, indent=2, ensure_ascii=False))
        return
    import yaml  # noqa: PLC0415 - only for who wants it

    yaml.safe_dump(value, sys.stdout, sort_keys=False, allow_unicode=True)


def console() -> Console:
    """Where tables go: as wide as the terminal, unbounded elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - programs do without

    width = None if sys.stdout.isatty() else UNBOUNDED
    return Console(width=width, highlight=False, markup=False, emoji=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Rows of JSON values under headings."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        made.add_column(Text(name), overflow="fold")
    for row in rows:
        texts = [cell(value) for value in row]
        made.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in texts))
    return made


def lines(*texts: str) -> None:
    """Print lines of text."""
    for text in texts:
        print(text)
