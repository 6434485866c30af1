"""Whether an instance can have a second slot, and what its queries would lose by it."""

from __future__ import annotations

from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.contract.slots import NO_ROUTER, SlotPlan
from draas.control_plane.configurations import Configurations
from draas.control_plane.documents import Document
from draas.control_plane.fleet import Fleet
from draas.control_plane.leadership import Leadership
from draas.control_plane.monitor import running_of
from draas.control_plane.placement import losses, obstacles
from draas.control_plane.records import Cause
from draas.control_plane.traffic import Traffic


class SlotPlans:
    """Looks at configurations, router and what runs; changes nothing."""

    def __init__(
        self,
        fleet: Fleet,
        configurations: Configurations,
        traffic: Traffic,
        leadership: Leadership,
    ) -> None:
        self._fleet = fleet
        self._configurations = configurations
        self._traffic = traffic
        self._leadership = leadership

    async def plan(self, instance_id: str, given: Any | None, cause: Cause) -> SlotPlan:
        """What a change by two slots would meet; nothing happens.

        Raises:
            ProblemError: instance-not-found or invalid-configuration.
        """
        what, _ = await self._configurations.to_run(instance_id, given, cause)
        return await self._plan(instance_id, what)

    async def require(self, instance_id: str, what: Document, *, allow_state_loss: bool) -> None:
        """Refuse what two slots cannot do, or would lose without consent.

        Raises:
            ProblemError: two-slots-impossible, with all reasons.
        """
        found = await self._plan(instance_id, what)
        reasons = list(found.reasons)
        if not allow_state_loss:
            reasons += [
                f"query {each.query!r} would begin empty: {each.reason}" for each in found.losses
            ]
        if reasons:
            raise ProblemError(
                "two-slots-impossible",
                f"instance {instance_id!r} cannot have a second slot: {'; '.join(reasons)}",
                reasons=reasons,
            )

    async def _plan(self, instance_id: str, what: Document) -> SlotPlan:
        record = self._fleet.get(instance_id)
        reasons = obstacles(what.configuration)
        if record.slot is not None and record.slot.generation is not None:
            present = await self._configurations.generation(instance_id, record.slot.generation)
            reasons += obstacles(msgspec.json.decode(present.document))
        if self._traffic.name == NO_ROUTER:
            reasons.append("there is no router to share its traffic (setting Router)")
        elif record.slot is not None and not record.slot.placement:
            reasons.append("it was started without the router; restart it once")
        if (running := running_of(record)) is not None:
            reasons += await self._leadership.obstacles(running)
        reasons = list(dict.fromkeys(reasons))
        return SlotPlan(possible=not reasons, reasons=reasons, losses=losses(what.configuration))
