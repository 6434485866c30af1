"""How much is logged, and in which form: .NET's level names, per-category by prefix (R-131)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


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


def _defaults() -> dict[str, LogLevel]:
    return {
        "Default": LogLevel.INFORMATION,
        "Microsoft.Hosting.Lifetime": LogLevel.INFORMATION,
        "DRaaS.Reconciliation": LogLevel.DEBUG,
    }


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """The section `Logging` (R-140.13)."""

    log_level: Mapping[str, LogLevel] = field(
        default_factory=_defaults,
        metadata={
            "help": "Least level that is logged, by category; the longest matching prefix counts, "
            "`Default` where none matches"
        },
    )
    format: LogFormat = field(
        default=LogFormat.CONSOLE, metadata={"help": "`Console` for people, `Json` for collectors"}
    )

    def threshold(self, category: str) -> LogLevel:
        """The least level that `category` logs; case does not matter, whole name parts do."""
        name, best, longest = category.casefold(), LogLevel.INFORMATION, -1
        for prefix, level in self.log_level.items():
            folded = prefix.casefold()
            length = 0 if folded == "default" else len(folded)
            matches = length == 0 or name == folded or name.startswith(folded + ".")
            if matches and length > longest:
                best, longest = level, length
        return best
