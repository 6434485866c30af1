"""Logging in .NET's console form or as JSON lines; no value can forge a line (R-130 to R-132)."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from io import TextIOWrapper
from types import MappingProxyType
from typing import TextIO

from draas.settings import format_timespan
from draas.telemetry.levels import LogFormat, LoggingSettings, LogLevel
from draas.telemetry.messages import Message, catalogue

_OURS = ("DRaaS", "Microsoft")
_INDENT = "      "
_CONTEXT: ContextVar[Mapping[str, object]] = ContextVar("context", default=MappingProxyType({}))


def configure(settings: LoggingSettings, stream: TextIO) -> None:
    """Sends everything that this process logs, also by other libraries, to `stream` from now on.

    Levels are per category, the longest prefix counts, case does not matter. `Default` is that of
    our own categories; libraries say no less than warnings unless their category is named. Called
    again, it replaces what was set before.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(stream)
    for_people = settings.format is LogFormat.CONSOLE
    handler.setFormatter(_Console(settings.timestamps) if for_people else _Json())
    root = logging.getLogger()
    root.handlers = [handler]
    for name in list(root.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
        library.setLevel(logging.NOTSET)
    default = settings.log_level.get("Default", LogLevel.INFORMATION).number
    root.setLevel(max(default, LogLevel.WARNING.number))
    for ours in _OURS:
        logging.getLogger(ours).setLevel(default)
    for category, level in settings.log_level.items():
        if category == "Default":
            continue
        logging.getLogger(_spelled(category)).setLevel(level.number)


def emit(message: Message, error: BaseException | None = None, /, **fields: object) -> None:
    """Logs `message` with its `fields`; `error` is printed with its trace.

    Fields beyond those of the text are kept in JSON. Raises KeyError if one of the text is missing.
    """
    logger, level = logging.getLogger(message.category), message.level.number
    if not logger.isEnabledFor(level):
        return
    text = message.template.format_map({name: clean(_plain(fields[name])) for name in fields})
    trace = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord(message.category, level, "", 0, text, (), trace)
    record.event_id, record.fields = message.event_id, fields
    logger.handle(record)


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """Puts the fields into every JSON line that is written meanwhile."""
    token = _CONTEXT.set({**_CONTEXT.get(), **fields})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def clean(text: str) -> str:
    """`text` on one line: what does not print is escaped."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class _Console(logging.Formatter):
    def __init__(self, timestamps: bool) -> None:
        super().__init__()
        self._timestamps = timestamps

    def format(self, record: logging.LogRecord) -> str:
        at = f"{_at(record)} " if self._timestamps else ""
        head = (
            f"{at}{_level(record.levelno).short}: {record.name}[{getattr(record, 'event_id', 0)}]"
        )
        body = [*record.getMessage().splitlines(), *_trace(record).splitlines()]
        return "\n".join([clean(head), *(_INDENT + clean(line) for line in body)])


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        told = {**_CONTEXT.get(), **getattr(record, "fields", {})}
        line: dict[str, str | int | float | None] = {
            "timestamp": _at(record),
            "level": _level(record.levelno).value,
            "category": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: _value(each)
            for field, each in told.items()
            if (name := _camel(field)) not in line
        }
        if trace := _trace(record):
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=True)


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _trace(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if record.exc_info else None
    return "" if error is None else "".join(traceback.format_exception(error)).rstrip("\n")


@cache
def _level(number: int) -> LogLevel:
    spoken = [level for level in LogLevel if level is not LogLevel.NONE]
    return max((each for each in spoken if each.number <= number), key=_number, default=spoken[0])


def _number(level: LogLevel) -> int:
    return level.number


def _plain(value: object) -> str:
    """Durations as .NET prints them, enums by value."""
    if isinstance(value, timedelta):
        return format_timespan(value)
    return str(value.value if isinstance(value, Enum) else value)


def _value(value: object) -> str | int | float | bool | None:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if isinstance(value, (str, int, float)) or value is None:
        return _plain(value) if isinstance(value, Enum) else value
    return _plain(value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _spelled(prefix: str) -> str | None:
    """The logger's name for a category written in any case; None is the root."""
    if prefix.casefold() == "default":
        return None
    for category in {message.category for message in catalogue().values()}:
        if f"{category}.".casefold().startswith(f"{prefix}.".casefold()):
            return category[: len(prefix)]
    return prefix
