"""The reference of all settings, from the classes themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from draas.settings.convert import allowed, show
from draas.settings.schema import Setting, describe, narrowed
from draas.settings.timespan import FORM


class Row(NamedTuple):
    """One setting in words: how it is written, what it is without it, what may stand there."""

    key: str
    variable: str
    default: str
    allowed: str
    help: str


def reference(cls: type, choices: Mapping[str, Sequence[str]] | None = None) -> list[Row]:
    """All settings of the class `cls`, in its order; a map has a row for each default entry.

    `choices` are those of `load`.
    """
    return [row for each in narrowed(describe(cls), choices) for row in _rows(each)]


def _rows(setting: Setting) -> list[Row]:
    if setting.shape == "map":
        return [
            _row(setting, (*setting.path, name), value) for name, value in setting.default.items()
        ]
    if setting.shape == "list":
        return [
            _row(setting, (*setting.path, str(index)), value)
            for index, value in enumerate(setting.default)
        ]
    return [_row(setting, setting.path, setting.default)]


def _row(setting: Setting, path: tuple[str, ...], default: Any) -> Row:
    words = allowed(setting).replace(FORM, "a time span")
    return Row(":".join(path), "__".join(path), show(default), words, setting.help)
