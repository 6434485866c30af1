"""Values as text for a terminal: what came over the network cannot steer it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def printable(text: str) -> str:
    """`text` on one line: what does not print is escaped."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def cell(value: Any) -> str:
    """A JSON value in a table; nothing is a dash."""
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(cell(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={cell(each)}" for key, each in value.items())
    return printable(str(value))


def shown(value: Any) -> str:
    """A value of a configuration, short enough for a line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= 120 else text[:119] + "…")


def local_time(stamp: Any) -> str:
    """A UTC stamp in the zone of who reads it, to the second; other text as it is."""
    try:
        instant = datetime.fromisoformat(str(stamp))
    except ValueError:
        return cell(stamp)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds(value: Any) -> str:
    """A duration in seconds, for people."""
    return f"{value:.1f} s" if isinstance(value, int | float) else "–"
