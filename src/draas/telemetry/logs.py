"""Logging in .NET's console form or as JSON lines; no value can forge a line (R-130 to R-132)."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache, lru_cache
from io import TextIOWrapper
from threading import RLock
from types import MappingProxyType
from typing import ClassVar, NamedTuple, TextIO

from draas.settings import format_timespan
from draas.telemetry.levels import LogFormat, LoggingSettings, LogLevel
from draas.telemetry.messages import Message, catalogue

_OURS = ("DRaaS", "Microsoft")
_ROOT = logging.getLogger()
_LOCK = RLock()
_INDENT = "      "
_CONTEXT: ContextVar[Mapping[str, object]] = ContextVar("context", default=MappingProxyType({}))


def configure(settings: LoggingSettings, stream: TextIO) -> None:
    """Sends everything that this process logs, also by other libraries, to `stream` from now on.

    Levels are per category, the longest prefix counts, case does not matter. `Default` is that of
    our own categories; libraries say no less than warnings unless their category is named. Called
    again, it replaces what was set before.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace", line_buffering=False)
    console = _timed_console if settings.timestamps else _console
    _ROOT.handlers = [_Lines(stream, console if settings.format is LogFormat.CONSOLE else _json)]
    for name in list(_ROOT.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
        library.setLevel(logging.NOTSET)
    default = settings.log_level.get("Default", LogLevel.INFORMATION).number
    _ROOT.setLevel(max(default, LogLevel.WARNING.number))
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
    level = message.level.number
    if not _logger(message.category).isEnabledFor(level):
        return
    text = message.template.format_map(
        {name: clean(each if type(each) is str else _plain(each)) for name, each in fields.items()}
    )
    entry = _Entry(level, message.category, message.event_id, text, error, fields)
    for handler in _ROOT.handlers:
        if isinstance(handler, _Lines):
            handler.tell(entry)  # a LogRecord costs more than the line
        else:
            handler.handle(_record(entry))


class OneWrite:
    """A context whose lines are written in one go at its end: a write costs more than a line.

    Nothing may be awaited in it.
    """

    def __enter__(self) -> None:
        _Lines.held += 1

    def __exit__(self, *_: object) -> None:
        _Lines.held -= 1
        for handler in _ROOT.handlers:
            handler.flush()


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


class _Entry(NamedTuple):
    level: int
    category: str
    event_id: int
    text: str
    error: BaseException | None
    fields: Mapping[str, object]


class _Lines(logging.Handler):
    """Writes entries, and what other libraries log, in the form given."""

    held: ClassVar = 0

    def __init__(self, stream: TextIO, form: Callable[[_Entry], str]) -> None:
        super().__init__()
        self._stream = stream
        self._form = form

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:
            self.handleError(record)
            return
        error = record.exc_info[1] if record.exc_info else None
        self.tell(_Entry(record.levelno, record.name, 0, text, error, {}))

    def tell(self, entry: _Entry) -> None:
        self._write(self._form(entry) + "\n")

    def flush(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        with _LOCK:
            try:
                self._stream.write(text)
                if not self.held:
                    self._stream.flush()
            except (OSError, ValueError):
                pass  # there is nowhere else to say it


def _record(entry: _Entry) -> logging.LogRecord:
    error = entry.error
    trace = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord(entry.category, entry.level, "", 0, entry.text, (), trace)


def _console(entry: _Entry) -> str:
    head = _head(entry.level, entry.category, entry.event_id)
    if entry.error is None and entry.text.isprintable():
        return f"{head}\n{_INDENT}{entry.text}"
    body = [*entry.text.splitlines(), *_trace(entry.error).splitlines()]
    return "\n".join([head, *(_INDENT + clean(line) for line in body)])


def _timed_console(entry: _Entry) -> str:
    return f"{_now()} {_console(entry)}"


def _json(entry: _Entry) -> str:
    line: dict[str, str | int | float | None] = {
        "timestamp": _now(),
        "level": _level(entry.level).value,
        "category": entry.category,
        "message": entry.text,
    }
    line |= {
        name: _value(each)
        for field, each in {**_CONTEXT.get(), **entry.fields}.items()
        if (name := _camel(field)) not in line
    }
    if entry.error is not None:
        line["exception"] = _trace(entry.error)
    return json.dumps(line, ensure_ascii=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _trace(error: BaseException | None) -> str:
    return "" if error is None else "".join(traceback.format_exception(error)).rstrip("\n")


@cache
def _logger(category: str) -> logging.Logger:
    return logging.getLogger(category)


@lru_cache(maxsize=1024)
def _head(level: int, category: str, event_id: int) -> str:
    return clean(f"{_level(level).short}: {category}[{event_id}]")


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
