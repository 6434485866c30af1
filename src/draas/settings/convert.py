"""Text to typed values and back."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from draas.settings.schema import Setting
from draas.settings.timespan import FORM, format_timespan, parse_timespan

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    timedelta: FORM,
    str: "text",
    Path: "a path",
}


def convert(setting: Setting, text: str) -> Any:
    """The value that `text` means for `setting`; ValueError says what is allowed."""
    try:
        value = _parse(setting, text)
    except (ValueError, KeyError):
        raise ValueError(allowed(setting)) from None
    low, high = setting.minimum, setting.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(allowed(setting))
    return value


def allowed(setting: Setting) -> str:
    """What may be written for `setting`, in words."""
    choices = _choices(setting)
    if choices:
        return "one of " + ", ".join(choices.values())
    low, high = show(setting.minimum), show(setting.maximum)
    bounds = ""
    if low and high:
        bounds = f", from {low} to {high}"
    elif low:
        bounds = f", at least {low}"
    elif high:
        bounds = f", at most {high}"
    return (setting.form or _NAMES[setting.kind]) + bounds


def show(value: Any) -> str:
    """`value` as users write it; nothing for None."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return format_timespan(value)
        case Enum():
            return str(value.value)
    return str(value)


def _choices(setting: Setting) -> dict[str, str]:
    names = setting.choices
    if issubclass(setting.kind, Enum):
        names = names or tuple(str(member.value) for member in setting.kind)
    return {name.casefold(): name for name in names}


def _parse(setting: Setting, text: str) -> Any:
    kind, choices = setting.kind, _choices(setting)
    if choices:
        return kind(choices[text.casefold()])
    if "\x00" in text:
        raise ValueError("a NUL")
    if kind is bool:
        return {"true": True, "false": False}[text.strip().casefold()]
    if kind is timedelta:
        return parse_timespan(text.strip())
    if kind is int and not _WHOLE.fullmatch(text.strip()):
        raise ValueError("not a whole number")
    value = kind(text)
    if kind is float and (not math.isfinite(value) or "_" in text):
        raise ValueError("not a plain number")
    return value
