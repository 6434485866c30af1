"""Read all that a decision needs, into one value; what cannot be read is Unknown with a reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from draas.client.port import (
    ControlPlane,
    ControlPlaneError,
    Desired,
    RefusedError,
    UnreachableError,
)
from draas.decide.detect import detect
from draas.decide.hot_apply import settings_changed
from draas.decide.strategies import AUTO, needs_slots
from draas.decide.validation import validate
from draas.model.instance import InstanceState
from draas.model.reconciliation import Breaker, Budget, Operation, Snapshot
from draas.model.slots import SlotPlan
from draas.model.status import InstanceStatus
from draas.reconciliation.explain import applied_document
from draas.reconciliation.fleet import Fleet, with_memory
from draas.reconciliation.last_good import last_good
from draas.telemetry import messages
from draas.telemetry.logs import emit


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot and, where drift made it worth reading, the desired configuration."""

    snapshot: Snapshot
    desired: Desired | None = None


class Observer:
    """Reads instances from the control plane; one request for one that is in order."""

    def __init__(self, control_plane: ControlPlane, fleet: Fleet) -> None:
        self._control_plane = control_plane
        self._fleet = fleet

    async def observe(
        self,
        instance_id: str,
        operation: Operation | None,
        breaker: Breaker,
        budget: Budget,
        strategy: str,
    ) -> Observation:
        """A fresh snapshot of the instance. Never raises for what the control plane does.

        What a choice of `strategy` depends on is asked for where something drifts.
        """
        memory = self._fleet.memory(instance_id)
        common = Snapshot(
            instance_id=instance_id,
            state=None,
            memory=memory,
            operation=operation,
            fleet=self._fleet.view(),
            breaker=breaker,
            budget=budget,
        )
        try:
            state = await self._control_plane.state(instance_id)
            if state is None:
                return Observation(replace(common, gone=True))
            state = with_memory(state, memory)
            desired: Desired | None = None
            faults: tuple[str, ...] = ()
            if detect(state) or memory.quarantine_of(state.desired_digest):
                desired = await self._control_plane.desired(instance_id)
                faults = tuple(str(fault) for fault in validate(desired.document))
            good = await self._last_good(state)
            if desired is not None and operation is None:
                common = await self._with_choice(common, state, good or desired, strategy)
        except ControlPlaneError as error:
            if not isinstance(error, UnreachableError):
                emit(messages.CONFIGURATION_READ_ERROR, instance_id=instance_id, reason=error)
            return Observation(replace(common, unknown=str(error)))
        last_good = good.digest if good else None
        complete = replace(common, state=state, faults=faults, last_good_digest=last_good)
        return Observation(complete, desired)

    async def _last_good(self, state: InstanceState) -> Desired | None:
        """Read only where a quarantine makes it matter."""
        if self._fleet.memory(state.id).quarantine_of(state.desired_digest) is None:
            return None
        return await last_good(self._control_plane, self._fleet.memory(state.id))

    async def _with_choice(
        self, snapshot: Snapshot, state: InstanceState, target: Desired, strategy: str
    ) -> Snapshot:
        """The snapshot with what the choice of the strategy depends on.

        `auto` asks for two slots only where a setting of the server differs: the rest can be
        changed in place.
        """
        changes = state.status == InstanceStatus.RUNNING and state.applied_digest != target.digest
        if not changes or not needs_slots(strategy):
            return snapshot
        if strategy == AUTO:
            applied = await applied_document(self._control_plane, state, snapshot.memory)
            settings = settings_changed(applied, target.document) if applied else ()
            snapshot = replace(snapshot, changed_settings=settings)
            if not settings:
                return snapshot
        try:
            slots = await self._control_plane.plan_slots(state.id, target.document)
        except RefusedError as error:
            slots = SlotPlan(possible=False, reasons=[error.detail])
        return replace(snapshot, slots=slots)
