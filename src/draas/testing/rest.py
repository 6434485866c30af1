"""What a simulated fleet has to come to once nothing goes wrong any more."""

from __future__ import annotations

from draas.testing.faults import BAD, DOUBTFUL, SOUND
from draas.testing.invariants import Invariants
from draas.testing.people import People
from draas.testing.simulated_control_plane import SimulatedControlPlane
from draas.testing.simulated_servers import SimulatedServer

HELD = "obscure"
"""What nobody can judge is left as it runs."""


class Rest:
    """Says of each instance what keeps it from being as it should be."""

    def __init__(
        self, plane: SimulatedControlPlane, people: People, invariants: Invariants
    ) -> None:
        self._plane = plane
        self._people = people
        self._invariants = invariants

    def unrest(self) -> list[str]:
        """What is not as it should be."""
        each = self._plane.servers.items()
        return [f"{name} {why}" for name, server in each if (why := self._why(name, server))]

    def hopeless(self, name: str, server: SimulatedServer) -> bool:
        """Whether nothing that the instance was ever given can run well.

        A sound one that was shot and found bad is left to people.
        """
        kind, desired = self._people.kind, self._plane.digests.whole(server.history[-1])
        shot = self._people.doubt(desired, name) and self._invariants.in_quarantine(name, desired)
        if kind(server.history[-1]) not in BAD and not shot:
            return False
        good = {n for n in (server.good, server.earlier_good) if n is not None}
        return not any(kind(server.history[n - 1]) in (SOUND, *DOUBTFUL) for n in good)

    def _why(self, name: str, server: SimulatedServer) -> str:
        operation = self._invariants.open_operation(name)
        if not server.wanted:
            if server.running is not None:
                return "runs and was stopped"
            return "has an open operation" if operation else ""
        if self.hopeless(name, server):
            return ""
        if server.running is None:
            return f"is down: {server.reason}"
        digest, kind = self._plane.digests.whole, self._people.kind
        running, desired = digest(server.running), digest(server.history[-1])
        if operation and kind(server.history[-1]) == HELD and operation.inconclusive:
            return ""
        if server.observed != self._plane.digests.observable(server.running):
            return "was changed by somebody"
        if slots := self._slots(name):
            return slots
        if running == desired and kind(server.running) == HELD:
            return ""
        good = None if server.good is None else digest(server.history[server.good - 1])
        given_up = self._invariants.in_quarantine(name, desired)
        if kind(server.history[-1]) in (*BAD, HELD) and not given_up:
            return "has not found out that its configuration is bad"
        if running != (good if given_up else desired):
            return "runs something else"
        if kind(server.running) == "dying":
            return "will end soon"
        if operation:
            return "has an open operation"
        return f"is {server.health}" if server.health != "Healthy" else ""

    def _slots(self, name: str) -> str:
        """What is not as it should be of the slots of an instance that runs."""
        mine = self._plane.slotted.get(name)
        if mine is None:
            return ""
        if mine.spare is not None:
            return f"has a {mine.spare.role} slot"
        if mine.leaders() != [mine.serving]:
            return "takes no changes"
        return "" if mine.flow.weights == {mine.serving: 100} else "gets no traffic"
