"""How much is logged, and in which form: .NET's level names, per-category by prefix (R-131)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from draas.settings import setting


class LogLevel(Enum):
    """.NET's levels, from the most to the least talkative; `NONE` silences a category."""

    TRACE = "Trace"
    DEBUG = "Debug"
    INFORMATION = "Information"
    WARNING = "Warning"
    ERROR = "Error"
    CRITICAL = "Critical"
    NONE = "None"

    @property
    def number(self) -> int:
        """The level's number in Python's logging."""
        return _NUMBERS[self]

    @property
    def short(self) -> str:
        """Four letters, as .NET's console prints them."""
        return _SHORT[self]


_NUMBERS = dict(zip(LogLevel, (5, 10, 20, 30, 40, 50, 100), strict=True))
_SHORT = dict(zip(LogLevel, ("trce", "dbug", "info", "warn", "fail", "crit", "none"), strict=True))


class LogFormat(Enum):
    """`CONSOLE` is .NET's two-line form, `JSON` one object a line."""

    CONSOLE = "Console"
    JSON = "Json"


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """The section `Logging` (R-140.13)."""

    log_level: Mapping[str, LogLevel] = setting(
        {
            "Default": LogLevel.INFORMATION,
            "Microsoft.Hosting.Lifetime": LogLevel.INFORMATION,
            "DRaaS.Reconciliation": LogLevel.DEBUG,
        },
        help="Least level that is logged, by category; the longest matching prefix counts, "
        "`Default` where none matches",
    )
    format: LogFormat = setting(
        LogFormat.CONSOLE, help="`Console` for people, `Json` for collectors"
    )
    timestamps: bool = setting(
        False,
        help="Begin each entry of `Console` with its time in UTC, as `draas up` does in its logs; "
        "`Json` always has it",
    )
