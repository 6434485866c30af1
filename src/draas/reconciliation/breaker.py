"""The fleet's breaker as a living thing: looked at before every piece of work."""

from __future__ import annotations

from collections.abc import Callable

from draas.decide.breaker import BreakerRules, next_breaker, released
from draas.model.clock import Clock
from draas.model.reconciliation import Breaker, FleetView
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics


class FleetBreaker:
    """Holds the breaker's state between looks and says when it opens and closes.

    `closed` is called when it closes: what it held waits for nothing else.
    """

    def __init__(
        self,
        rules: BreakerRules,
        clock: Clock,
        metrics: DaemonMetrics,
        closed: Callable[[], None],
    ) -> None:
        self._closed = closed
        self._rules = rules
        self._clock = clock
        self._metrics = metrics
        self.state = Breaker()

    def look(self, fleet: FleetView) -> Breaker:
        """The breaker now, given the fleet now."""
        return self.follow(next_breaker(self.state, fleet, self._rules, self._clock.now()))

    def follow(self, state: Breaker) -> Breaker:
        """The breaker as somebody else decided, who decides for all."""
        before, self.state = self.state, state
        if before.open_since is None and self.state.open_since is not None:
            emit(messages.BREAKER_OPENED, reason=self.state.reason)
        if before.open_since is not None and self.state.open_since is None:
            emit(messages.BREAKER_CLOSED)
            self._closed()
        self._metrics.breaker_open.set(self.state.open_since is not None)
        return self.state

    def release(self) -> None:
        """Let the work go on by a person's word, for as long as a hold would have lasted."""
        self.state = released(self._clock.now(), self._rules)
        emit(messages.BREAKER_CLOSED)
        self._closed()
