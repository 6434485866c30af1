"""Settings from files, environment and command line, by .NET's rules."""

from draas.settings.binding import load
from draas.settings.faults import InvalidSettingError, SettingsError
from draas.settings.loopback import is_loopback, require_loopback
from draas.settings.schema import setting
from draas.settings.timespan import format_timespan, parse_timespan

__all__ = [
    "InvalidSettingError",
    "SettingsError",
    "format_timespan",
    "is_loopback",
    "load",
    "parse_timespan",
    "require_loopback",
    "setting",
]
