"""Whether the daemon's loops are alive: each says by when it will be heard of again."""

from __future__ import annotations

from draas.model.clock import Clock


class Heartbeats:
    """The last sign of life of each loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}

    def beat(self, loop: str, within: float) -> None:
        """The loop lives, and beats again within so many seconds."""
        self._due[loop] = self._clock.monotonic() + within

    def silent(self) -> list[str]:
        """The loops that missed their beat."""
        now = self._clock.monotonic()
        return sorted(loop for loop, due in self._due.items() if due < now)

    def loops(self) -> list[str]:
        """The loops that were ever heard of."""
        return sorted(self._due)
