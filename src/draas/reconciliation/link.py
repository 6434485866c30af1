"""The state of the connection to the control plane: an outage is one thing, told once (D-16)."""

from __future__ import annotations

import asyncio

from draas.model.clock import Clock
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics


class Link:
    """Up or away since when; logs each change once."""

    def __init__(self, clock: Clock, metrics: DaemonMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._away_since: float | None = None
        self.reason = "not reached yet"
        self.first_sync = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether the whole fleet was seen once."""
        return self.first_sync.is_set()

    def up(self) -> None:
        """It answered."""
        if self._away_since is not None:
            emit(messages.CONTROL_PLANE_BACK)
        self._away_since = None
        self.reason = ""
        self._metrics.control_plane_up.set(1)

    def away(self, error: Exception) -> None:
        """It did not answer, or not sensibly."""
        self.reason = str(error)
        if self._away_since is None:
            self._away_since = self._clock.monotonic()
            emit(messages.CONTROL_PLANE_LOST, reason=error)
            self._metrics.control_plane_up.set(0)

    @property
    def is_away(self) -> bool:
        """Whether it did not answer the last time."""
        return self._away_since is not None

    def away_for(self) -> float:
        """Seconds since it was lost; 0 while it answers."""
        since = self._away_since
        return 0.0 if since is None else self._clock.monotonic() - since
