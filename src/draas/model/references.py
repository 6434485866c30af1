"""Values that a server resolves itself: environment variables and secrets, by name.

Two spellings mean the same: the whole text `${NAME}` or `${NAME:-default}`, and the object
`{"kind": "EnvironmentVariable", "name": …, "default": …}`. They are never resolved here.
"""

from __future__ import annotations

import re
from typing import Any

_TEXT = re.compile(r"\$\{([A-Za-z_]\w*)(?::-(.*))?\}", re.DOTALL | re.ASCII)
_KINDS = ("EnvironmentVariable", "Secret")


def reference(value: Any) -> dict[str, Any] | None:
    """The object form of a reference in either spelling, or None when `value` is none."""
    if isinstance(value, str):
        match = _TEXT.fullmatch(value) if value.startswith("${") else None
        if match is None:
            return None
        name, default = match.groups()
        form = {"kind": "EnvironmentVariable", "name": name}
        return form if default is None else form | {"default": default}
    if not isinstance(value, dict) or value.get("kind") not in _KINDS:
        return None
    if not isinstance(value.get("name"), str) or isinstance(value.get("default"), dict | list):
        return None
    return {key: _text(member) for key, member in value.items() if member is not None}


def shown(form: dict[str, Any]) -> str:
    """A reference as short text, for people."""
    if form["kind"] != "EnvironmentVariable":
        return f"{form['kind']} {form['name']}"
    default = form.get("default")
    return f"${{{form['name']}}}" if default is None else f"${{{form['name']}:-{default}}}"


def _text(member: Any) -> Any:
    if isinstance(member, bool):
        return "true" if member else "false"
    return str(member) if isinstance(member, int | float) else member
