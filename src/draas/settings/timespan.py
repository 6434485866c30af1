"""Durations as .NET writes them: `[-][d.]hh:mm[:ss[.fffffff]]` (R-143, B-119)."""

from __future__ import annotations

import re
from datetime import timedelta

FORM = "a time span [-][d.]hh:mm[:ss[.fffffff]], such as 00:00:30 for thirty seconds"

_TIMESPAN = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d{1,8})\.)?(?P<hours>[01]\d|2[0-3]):(?P<minutes>[0-5]\d)"
    r"(?::(?P<seconds>[0-5]\d)(?:\.(?P<fraction>\d{1,7}))?)?",
    re.ASCII,
)
_BARE_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?", re.ASCII)
_GREATEST_DAYS = 10_675_199  # .NET's TimeSpan.MaxValue
LONGEST = timedelta(days=36_500)
"""The longest that can be set: added to any time of ours, or taken from it, it is still a date."""


def parse_timespan(text: str) -> timedelta:
    """The duration that `text` names; tenths of a microsecond are cut off.

    Raises ValueError saying what is allowed. Stricter than .NET where .NET surprises: a bare number
    (there "30" is thirty days) and one-digit parts ("1:00" is an hour) are refused. Only "0"
    needs no unit.
    """
    if text == "0":
        return timedelta()
    match = _TIMESPAN.fullmatch(text)
    if match is None or int(match["days"] or 0) > _GREATEST_DAYS:
        if _BARE_NUMBER.fullmatch(text):
            raise ValueError(f"{FORM}; a bare number does not say its unit")
        raise ValueError(FORM)
    duration = timedelta(
        days=int(match["days"] or 0),
        hours=int(match["hours"]),
        minutes=int(match["minutes"]),
        seconds=int(match["seconds"] or 0),
        microseconds=int((match["fraction"] or "").ljust(7, "0")[:6]),
    )
    return -duration if match["sign"] else duration


def format_timespan(duration: timedelta) -> str:
    """`duration` as .NET prints it: `00:00:30`, `1.02:03:04.5000000`."""
    size = abs(duration)
    hours, rest = divmod(size.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    sign = "-" if duration < timedelta() else ""
    days = f"{size.days}." if size.days else ""
    fraction = f".{size.microseconds:06d}0" if size.microseconds else ""
    return f"{sign}{days}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"
