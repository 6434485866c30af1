"""The one source of time, identity and chance: decisions and tests never meet the real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """What a shell may ask of time and chance; `adapters.clock.SystemClock` is the real one."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...

    def new_id(self) -> str:
        """A fresh identifier: a random UUID as text with dashes."""
        ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...


def timestamp(moment: datetime) -> str:
    """The instant as API and audit write it: UTC, microseconds, `Z`; texts sort as the instants."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def nanoseconds(moment: datetime) -> int:
    """The instant as nanoseconds since the epoch, exact to the microsecond."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
