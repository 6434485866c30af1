"""The state of the connection to the control plane: an outage is one thing, told once (D-16)."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from draas.client.port import UnreachableError
from draas.model.clock import Clock
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics


class Question(StrEnum):
    """What the control plane is asked for; one may be answered while another is not."""

    CONNECT = "connect"
    LIST = "list"
    CHANGES = "changes"
    INSTANCE = "instance"


class Link:
    """Up, or away since when: away while any question is without an answer; logs each change once.

    One that nobody heard is answered as soon as any other is; one that got nonsense, or a no, only
    when it gets something else itself.
    """

    def __init__(self, clock: Clock, metrics: DaemonMetrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._unanswered: dict[Question, float] = {}
        self._unheard: set[Question] = set()
        self.reason = "not reached yet"
        self.first_sync = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether the whole fleet was seen once."""
        return self.first_sync.is_set()

    def up(self, question: Question) -> None:
        """It answered."""
        was_away = self.is_away
        for answered in (question, *self._unheard):
            self._unanswered.pop(answered, None)
        self._unheard.clear()
        if self.is_away:
            return
        if was_away:
            emit(messages.CONTROL_PLANE_BACK)
        self.reason = ""
        self._metrics.control_plane_up.set(1)

    def away(self, question: Question, error: Exception, for_seconds: float = 0.0) -> None:
        """It did not answer, or not sensibly, and that `for_seconds` already."""
        if not self.is_away:
            emit(messages.CONTROL_PLANE_LOST, reason=error)
            self._metrics.control_plane_up.set(0)
        self.reason = str(error)
        if isinstance(error, UnreachableError):
            self._unheard.add(question)
        else:
            self._unheard.discard(question)
        self._unanswered.setdefault(question, self._clock.monotonic() - for_seconds)

    def is_away_from(self, question: Question) -> bool:
        """Whether this question was not answered the last time."""
        return question in self._unanswered

    @property
    def is_away(self) -> bool:
        """Whether it did not answer the last time."""
        return bool(self._unanswered)

    def away_for(self) -> float:
        """Seconds since it was lost; 0 while it answers."""
        if not self._unanswered:
            return 0.0
        return self._clock.monotonic() - min(self._unanswered.values())
