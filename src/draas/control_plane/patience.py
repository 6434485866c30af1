"""One bad look is no bad server: health turns bad only after several looks in a row."""

from __future__ import annotations

from dataclasses import replace

from draas.control_plane.ports import Observation, Running
from draas.model.status import Health

LOOKS = 3
"""How many bad looks in a row it takes; what is bad for a moment under load heals by itself."""


class Patience:
    """Counts bad looks for each running server; a new process begins with a clean slate."""

    def __init__(self) -> None:
        self._bad: dict[str, tuple[Running, int]] = {}

    def judged(self, running: Running, seen: Observation) -> Observation:
        """The look, with a bad health that has not lasted yet told as Unknown."""
        if seen.health not in (Health.UNHEALTHY, Health.DEGRADED):
            self._bad.pop(running.instance_id, None)
            return seen
        known, count = self._bad.get(running.instance_id, (running, 0))
        count = count + 1 if known == running else 1
        self._bad[running.instance_id] = (running, count)
        if count >= LOOKS:
            return seen
        reason = f"{seen.reason} (look {count} of {LOOKS} before it counts)"
        return replace(seen, health=Health.UNKNOWN, reason=reason)
