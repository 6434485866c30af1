"""States and choices by name, with the numbers of the prototype's wire (contract 2.1, B-77)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self

from draas.model.json_value import encoded


class NumberedEnum(StrEnum):
    """Names on the wire; a name in any case or its number is accepted."""

    @property
    def number(self) -> int:
        """The number of the member on the prototype's wire: its place in the list."""
        return list(type(self)).index(self)

    @classmethod
    def parse(cls, value: Any) -> Self:
        """The member named or numbered by `value`; `ValueError` says what is allowed."""
        exact = cls._value2member_map_.get(value) if type(value) is str else None
        if isinstance(exact, cls):
            return exact
        members = list(cls)
        if isinstance(value, str):
            text = value.strip()
            for member in members:
                if member.value.lower() == text.lower():
                    return member
            if text.isascii() and text.isdigit() and len(text) < 4:
                value = int(text)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(members):
            return members[value]
        allowed = ", ".join(f"{member.value} ({member.number})" for member in members)
        shown = repr(value) if isinstance(value, str) else encoded(value)
        raise ValueError(f"{shown} is no {cls.__name__}: allowed are {allowed}")


class _WithUnknown(NumberedEnum):
    @classmethod
    def parse_or_unknown(cls, value: Any) -> Self:
        """As `parse`, but what a client does not know becomes Unknown instead of a crash."""
        try:
            return cls.parse(value)
        except ValueError:
            return cls("Unknown")


class InstanceStatus(_WithUnknown):
    """The state of an instance; those up to ConfigurationChanged are the prototype's."""

    CREATED = "Created"
    RUNNING = "Running"
    STOPPED = "Stopped"
    ERROR = "Error"
    CONFIGURATION_CHANGED = "ConfigurationChanged"
    STARTING = "Starting"
    STOPPING = "Stopping"
    UNKNOWN = "Unknown"


class PlatformType(NumberedEnum):
    """Where the copies of an instance run."""

    PROCESS = "Process"
    DOCKER = "Docker"
    AKS = "AKS"


class Strategy(NumberedEnum):
    """How a changed configuration is brought to a running instance."""

    RESTART = "Restart"
    ROLLING_UPDATE = "RollingUpdate"
    BLUE_GREEN = "BlueGreen"
    CANARY = "Canary"
    MANUAL = "Manual"


class RunState(NumberedEnum):
    """What the user wants: a server that runs, or one that does not."""

    RUNNING = "Running"
    STOPPED = "Stopped"


class Health(_WithUnknown):
    """What the last look at a running copy said; a look that failed is Unknown."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"
