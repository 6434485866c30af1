"""Whether an instance can have a second slot, and what its queries would lose by it."""

from __future__ import annotations

from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.contract.slots import NO_ROUTER, SlotPlan
from draas.control_plane.configurations import Configurations
from draas.control_plane.documents import Document
from draas.control_plane.fleet import Fleet
from draas.control_plane.handover import HandoverError
from draas.control_plane.leadership import Leadership
from draas.control_plane.monitor import running_of
from draas.control_plane.placement import losses, obstacles
from draas.control_plane.records import Cause, Record, Slot
from draas.control_plane.traffic import Traffic
from draas.model.own import LISTENING


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
        what, slot = await self._configurations.to_run(instance_id, given, cause)
        return (await self._plan(instance_id, what, slot))[0]

    async def require(
        self, instance_id: str, what: Document, slot: Slot, *, allow_state_loss: bool
    ) -> bool:
        """Refuse what two slots cannot do, or would lose without consent; whether one can follow.

        Raises:
            ProblemError: two-slots-impossible, with all reasons.
        """
        found, follows = await self._plan(instance_id, what, slot)
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
        return follows

    async def _plan(self, instance_id: str, what: Document, slot: Slot) -> tuple[SlotPlan, bool]:
        record = self._fleet.get(instance_id)
        follows, reasons = True, list[str]()
        if (running := running_of(record)) is not None:
            try:
                follows = await self._leadership.is_known_to(running)
            except HandoverError as error:
                reasons.append(f"its data cannot be handed over to a second one: {error}")
        reasons += obstacles(what.configuration, hands_over=follows)
        if record.slot is not None and record.slot.generation is not None:
            present = await self._configurations.generation(instance_id, record.slot.generation)
            reasons += obstacles(msgspec.json.decode(present.document), hands_over=follows)
        if self._traffic.name == NO_ROUTER:
            reasons.append("there is no router to share its traffic (setting Router)")
        elif record.slot is not None and not record.slot.placement:
            reasons.append("it was started without the router; restart it once")
        if not follows:
            reasons += self._obstacles_to_mirroring(record, what, slot)
        reasons = list(dict.fromkeys(reasons))
        lost = losses(what.configuration, hands_over=follows)
        return SlotPlan(possible=not reasons, reasons=reasons, losses=lost), follows

    def _obstacles_to_mirroring(self, record: Record, what: Document, slot: Slot) -> list[str]:
        found = []
        sources = what.configuration.get("sources") or ()
        pushed = [each["id"] for each in sources if each["kind"] in LISTENING["sources"]]
        if pushed and self._traffic.name != NO_ROUTER and not self._traffic.mirrors:
            found.append(
                f"its server hands nothing over, and router {self._traffic.name!r} cannot copy "
                f"what is pushed to source {pushed[0]!r}"
            )
        if record.slot is not None and record.slot.generation is None:
            found.append("nobody knows the configuration that it was started with; restart it once")
        if slot.generation is None:
            found.append("what it is to run is not one of its stored configurations")
        return found
