"""Values that refer to the environment: resolved for use, never in what is echoed.

Only a whole string `${VAR}` or `${VAR:-default}`, or `{kind: EnvironmentVariable, name, default?}`
is a reference, as in drasi-server; text around a reference stays text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from draas.instance_host.errors import invalid

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}", re.DOTALL)

MOST_DIGITS = 100
"""Of a number in a text: far more would take long to read, or not be read at all."""


def resolve(value: Any, environment: Mapping[str, str], path: str) -> Any:
    """`value` with every reference in it replaced.

    Raises `ApiError` (400) naming `path` and the variable when it is unset without a default, and
    for `kind: Secret`, because this host has no secret store.
    """
    if isinstance(value, str):
        match = _REFERENCE.fullmatch(value)
        return _variable(match[1], match[2], environment, path) if match else value
    if isinstance(value, list):
        return [resolve(item, environment, f"{path}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, dict):
        if value.get("kind") == "EnvironmentVariable" and isinstance(value.get("name"), str):
            return _variable(value["name"], value.get("default"), environment, path)
        if value.get("kind") == "Secret" and set(value) <= {"kind", "name", "default"}:
            raise invalid(
                f"{path}: no secret store here; use ${{VARIABLE}} and set it in the environment"
            )
        return {key: resolve(item, environment, f"{path}.{key}") for key, item in value.items()}
    return value


def _variable(name: str, default: Any, environment: Mapping[str, str], path: str) -> Any:
    found = environment.get(name, default)
    if found is None:
        raise invalid(f"{path}: environment variable {name} is not set and has no default")
    return found


def text_of(value: Any, path: str) -> str:
    """A non-empty string, else `ApiError` (400)."""
    if isinstance(value, str) and value:
        return value
    raise invalid(f"{path}: must be a non-empty string, not {_kind_of(value)}")


def whole_of(value: Any, path: str, least: int = 0, most: int = 2**53) -> int:
    """An integer within bounds; digits in a string count, as the environment has only strings."""
    if isinstance(value, str) and len(value) <= MOST_DIGITS and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise invalid(f"{path}: must be a whole number from {least} to {most}, not {_kind_of(value)}")


def flag_of(value: Any, path: str) -> bool:
    """True or false; the words in a string count, as the environment has only strings."""
    if value in ("true", "false"):
        return bool(value == "true")
    if isinstance(value, bool):
        return value
    raise invalid(f"{path}: must be true or false, not {_kind_of(value)}")


def without_values(text: str, properties: Any) -> str:
    """`text` of a plugin with every string of `properties` blanked: it may hold a secret."""
    if isinstance(properties, str):
        return text.replace(properties, "…") if properties else text
    items = properties.values() if isinstance(properties, dict) else properties
    for item in items if isinstance(properties, (dict, list)) else ():
        text = without_values(text, item)
    return text


def _kind_of(value: Any) -> str:
    if value == "":
        return "an empty one"
    if isinstance(value, bool) or value is None:
        return repr(value).lower().replace("none", "null")
    return f"{value}" if isinstance(value, int) else type(value).__name__
