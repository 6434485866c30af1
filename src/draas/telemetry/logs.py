"""Logging in .NET's console form or as JSON lines; no value can forge a line (R-130 to R-132)."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from io import TextIOWrapper
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from draas.settings import format_timespan
from draas.telemetry.levels import LogFormat, LoggingSettings, LogLevel
from draas.telemetry.messages import Message, catalogue

_OURS = ("DRaaS", "Microsoft")
_INDENT = "      "
_FIRST = ("timestamp", "level", "category", "message")
_NOT_CONTEXT = {"event", "exc_info", "event_id", "fields", "_record", "_from_structlog"}


def configure(settings: LoggingSettings, stream: TextIO) -> None:
    """Sends everything that this process logs, also by other libraries, to `stream` from now on.

    Levels are per category, the longest prefix counts, case does not matter. `Default` is that of
    our own categories; libraries say no less than warnings unless their category is named. Called
    again, it replaces what was set before.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    render = _console if settings.format is LogFormat.CONSOLE else _json
    chain: list[Processor] = [structlog.contextvars.merge_contextvars]
    structlog.configure(
        processors=[*chain, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[render], foreign_pre_chain=chain)
    )
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
    if not logging.getLogger(message.category).isEnabledFor(message.level.number):
        return
    text = message.template.format_map({name: clean(_plain(fields[name])) for name in fields})
    structlog.stdlib.get_logger(message.category).log(
        message.level.number, text, exc_info=error, event_id=message.event_id, fields=fields
    )


def clean(text: str) -> str:
    """`text` on one line: what does not print is escaped."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _console(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    record: logging.LogRecord = event["_record"]
    head = f"{_level(record.levelno).short}: {record.name}[{event.get('event_id', 0)}]"
    body = [*str(event["event"]).splitlines(), *_trace(event).splitlines()]
    return "\n".join([clean(head), *(_INDENT + clean(line) for line in body)])


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    record: logging.LogRecord = event["_record"]
    context = {name: value for name, value in event.items() if name not in _NOT_CONTEXT}
    line = {
        _camel(name): _value(each) for name, each in (context | event.get("fields", {})).items()
    }
    line |= {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": _level(record.levelno).value,
        "category": record.name,
        "message": str(event["event"]),
    }
    trace = _trace(event)
    if trace:
        line["exception"] = trace
    order = sorted(line, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    return json.dumps({name: line[name] for name in order}, ensure_ascii=True)


def _trace(event: Mapping[str, Any]) -> str:
    error = event.get("exc_info")
    if isinstance(error, tuple):
        error = error[1]
    if not isinstance(error, BaseException):
        return ""
    return "".join(traceback.format_exception(error)).rstrip("\n")


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
