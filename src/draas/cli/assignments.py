"""`--set PATH=VALUE` as JSON Patch operations: ids instead of indices, typed values."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from draas.cli.exit_codes import Code, CommandError
from draas.cli.text import printable

_NAME = re.compile(r"[^.\[\]=]+")
_KEY = re.compile(r"\[([^\[\]]+)\]")
_APPEND = "-"


def operations(assignments: Sequence[str], document: Any) -> list[dict[str, Any]]:
    """One operation for each assignment; `document` is the configuration that they change.

    A path is names with dots, and `[ID]`, `[0]` or `[-]` (append) after the name of a list. A value
    is JSON if it can be read as JSON, else text.

    Raises:
        CommandError: a path cannot be read, or leads nowhere.
    """
    made = []
    for assignment in assignments:
        path, value = split(assignment)
        parts = parse(path)
        made.append(_operation(path, parts, value, document))
    return made


def split(assignment: str) -> tuple[str, Any]:
    """The path and the typed value of `PATH=VALUE`; an `=` in brackets belongs to an id."""
    depth = 0
    for place, sign in enumerate(assignment):
        depth += (sign == "[") - (sign == "]")
        if sign == "=" and depth == 0 and place:
            return assignment[:place], typed(assignment[place + 1 :])
    raise CommandError(
        f"--set {printable(assignment)}: write it as PATH=VALUE, such as port=9090", Code.USAGE
    )


def typed(text: str) -> Any:
    """JSON where the text is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse(path: str) -> list[str]:
    """The parts of a path; those of lists keep their brackets, such as `[open-orders]`.

    Raises:
        CommandError: it is no path.
    """
    parts: list[str] = []
    rest = path
    while rest:
        match = _KEY.match(rest) if parts else None
        if match is None:
            if parts and not rest.startswith("."):
                raise _unreadable(path)
            match = _NAME.match(rest, 1 if parts else 0)
        if match is None:
            raise _unreadable(path)
        parts.append(match[0])
        rest = rest[match.end() :]
    if not parts:
        raise _unreadable(path)
    return parts


def _operation(path: str, parts: list[str], value: Any, document: Any) -> dict[str, Any]:
    here = document
    tokens: list[str] = []
    for n, part in enumerate(parts):
        last = n == len(parts) - 1
        if part.startswith("["):
            token = _place(path, part[1:-1], here, last)
        elif isinstance(here, dict):
            token = part
            if not last and part not in here:
                raise _nowhere(path, part, f"there are {', '.join(here) or 'no members'}")
        else:
            raise _nowhere(path, part, "what is above it is no object")
        tokens.append(token.replace("~", "~0").replace("/", "~1"))
        if not last:
            here = here[int(token)] if isinstance(here, list) else here[token]
    in_list = isinstance(here, list) and tokens[-1] != _APPEND
    return {"op": "replace" if in_list else "add", "path": "/" + "/".join(tokens), "value": value}


def _place(path: str, key: str, here: Any, last: bool) -> str:
    """The index of an entry by its id, else by its number."""
    if not isinstance(here, list):
        raise _nowhere(path, f"[{key}]", "what is before it is no list")
    if key == _APPEND and last:
        return _APPEND
    ids = [each.get("id", each.get("sourceId")) if isinstance(each, dict) else "" for each in here]
    if key in ids:
        return str(ids.index(key))
    if key.isascii() and key.isdigit() and int(key) < len(here):
        return key
    known = ", ".join(str(each) for each in ids if each) or f"{len(here)} entries"
    raise _nowhere(path, f"[{key}]", f"there are {known}")


def _nowhere(path: str, part: str, why: str) -> CommandError:
    return CommandError(f"--set {printable(path)}: there is no {printable(part)}; {printable(why)}")


def _unreadable(path: str) -> CommandError:
    return CommandError(
        f"--set {printable(path)}: write the path as name.name or list[ID].name", Code.USAGE
    )
