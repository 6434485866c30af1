"""The real clock: the only place that reads the time of day or rolls dice."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from uuid import uuid4


class SystemClock:
    """`draas.model.clock.Clock` on the machine's clock and random source."""

    def now(self) -> datetime:
        """The current instant in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def new_id(self) -> str:
        """A random UUID (RFC 9562, version 4)."""
        return str(uuid4())

    def jitter(self) -> float:
        """A random number in [0, 1); nothing secret depends on it."""
        return random.random()
