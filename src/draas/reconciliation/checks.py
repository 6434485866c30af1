"""The five checks of a running copy (R-135), asked of the control plane and of the copy itself."""

from __future__ import annotations

from dataclasses import replace

from draas.client.port import ControlPlane
from draas.decide import health
from draas.decide.commands import Result
from draas.model.operation import HealthCheck
from draas.model.slots import Slot
from draas.model.status import Health
from draas.reconciliation.outside import Outside
from draas.reconciliation.targets import cannot_tell, not_yet


class Checks:
    """Makes the checks now; what the control plane tells of a slot, it read from it just before."""

    def __init__(self, control_plane: ControlPlane, outside: Outside) -> None:
        self._control_plane = control_plane
        self._outside = outside

    async def of_candidate(self, instance_id: str, slot: Slot) -> tuple[HealthCheck, ...]:
        """Those of a slot that the daemon must reach itself."""
        probe = self._outside.probe
        return health.checks(
            runs=slot.process_id is not None,
            health=Health.parse_or_unknown(slot.health),
            reason=slot.reason or "",
            probed=await probe(instance_id, slot) if probe else None,
        )

    async def of_serving(self, instance_id: str) -> tuple[HealthCheck, ...]:
        """Those of the copy that serves; none where no slot is known to.

        It may listen where only the control plane reaches it, which then has the word.

        Raises:
            ControlPlaneError: the control plane could not be asked.
        """
        slot = (await self._control_plane.slots(instance_id)).serving
        if slot is None:
            return ()
        probe = self._outside.probe
        probed = await probe(instance_id, slot) if probe else None
        return health.checks(
            runs=slot.process_id is not None,
            health=Health.parse_or_unknown(slot.health),
            reason=slot.reason or "",
            probed=probed if probed and probed.listens else None,
        )


def judged(result: Result, found: tuple[HealthCheck, ...]) -> Result:
    """What was good so far is good where the checks hold too; they are told with it."""
    if result.ok and (wrong := health.failed(found)):
        result = not_yet(wrong)
    elif result.ok and (unknown := health.unknown(found)):
        result = cannot_tell(unknown)
    return replace(result, checks=found)
