"""A second running copy of an instance: opened, given traffic, switched to, and taken away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane import slot_transitions
from draas.control_plane.calls import Calls
from draas.control_plane.candidates import Candidates
from draas.control_plane.configurations import Configurations
from draas.control_plane.fleet import Fleet
from draas.control_plane.handover import HandoverError
from draas.control_plane.holding import Holding
from draas.control_plane.leadership import Leadership
from draas.control_plane.mirroring import Mirroring, is_mirrored
from draas.control_plane.monitor import running_in
from draas.control_plane.outcome import start_failed
from draas.control_plane.placing import OvertakenError
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import LaunchError
from draas.control_plane.records import Cause, Record, slots_of
from draas.control_plane.slot_plans import SlotPlans
from draas.control_plane.traffic import Traffic
from draas.model.instance import OperationInFlight


class Slots:
    """Each call holds its instance, observes, then ensures; it may be repeated at any time.

    `switched` is told the id of each instance that another slot serves.
    """

    def __init__(
        self,
        fleet: Fleet,
        calls: Calls,
        holding: Holding,
        plans: SlotPlans,
        configurations: Configurations,
        platforms: Platforms,
        candidates: Candidates,
        traffic: Traffic,
        leadership: Leadership,
        mirroring: Mirroring,
        *,
        switched: Callable[[str], None],
    ) -> None:
        self._fleet = fleet
        self._calls = calls
        self._holding = holding
        self._plans = plans
        self._configurations = configurations
        self._platforms = platforms
        self._candidates = candidates
        self._traffic = traffic
        self._leadership = leadership
        self._mirroring = mirroring
        self._switched = switched

    async def open(
        self, instance_id: str, given: Any | None, cause: Cause, *, allow_state_loss: bool
    ) -> Record:
        """A candidate with the stored configuration, or `given`: up, following, without traffic.

        Raises:
            ProblemError: invalid-configuration, instance-busy, instance-not-running, stale-fence,
                two-slots-impossible, slot-occupied or start-failed; the serving slot is untouched.
        """
        what, slot = await self._configurations.to_run(instance_id, given, cause)
        follows = await self._plans.require(
            instance_id, what, slot, allow_state_loss=allow_state_loss
        )
        slot = msgspec.structs.replace(slot, mirrored=not follows)

        async def work(held: Record, mine: OperationInFlight) -> Record:
            try:
                try:
                    return await self._candidates.launched(held, slot, what, mine)
                except OvertakenError:
                    held = self._fleet.get(instance_id)
                    return await self._candidates.launched(held, slot, what, mine)
            except LaunchError as error:
                raise start_failed(instance_id, error, "the second slot of instance") from None

        return await self._holding.hold(instance_id, "open-slot", cause, work)

    async def weigh(self, instance_id: str, weights: Mapping[str, int], cause: Cause) -> Record:
        """Share the traffic between the slots, in percent; live when this returns.

        Raises:
            ProblemError: instance-busy, instance-not-running, stale-fence, slot-not-found,
                invalid-parameter or router-failed.
        """

        async def work(held: Record, mine: OperationInFlight) -> Record:
            _require_weights(held, weights)
            record = await self._holding.change(
                instance_id, mine, lambda r, now: slot_transitions.weighed(r, weights, now)
            )
            await self._traffic.direct(record)
            return record

        return await self._holding.hold(instance_id, "weigh", cause, work)

    async def switch(self, instance_id: str, name: str, cause: Cause) -> Record:
        """Let a slot serve, with the lead over the changes and all of the traffic.

        One that was kept takes over as well where the serving one has ended by itself.

        Raises:
            ProblemError: instance-busy, instance-not-running, stale-fence, slot-not-found,
                switch-failed (the other one serves on) or router-failed.
        """

        async def work(held: Record, mine: OperationInFlight) -> Record:
            _require_slot(held, name)
            try:
                await self._lead(held).give(held, name)
            except HandoverError as error:
                raise ProblemError(
                    "switch-failed", f"instance {instance_id!r}, slot {name!r}: {error}"
                ) from None
            digests = await self._mirroring.digests(held, name) if is_mirrored(held) else {}
            record = await self._holding.settled(
                instance_id, mine, lambda r, now: slot_transitions.switched(r, name, digests, now)
            )
            await self._traffic.direct(record)
            if is_mirrored(record):
                await self._mirroring.hold(record)
            self._switched(instance_id)
            return record

        return await self._holding.hold(instance_id, "switch", cause, work, successor=name)

    async def close(self, instance_id: str, name: str, drain: float, cause: Cause) -> Record:
        """Take the spare slot away, once its requests are answered or `drain` seconds are over.

        Raises:
            ProblemError: instance-busy, instance-not-running, stale-fence, slot-serves,
                switch-failed (the serving one does not lead), router-failed or stop-failed.
        """

        async def work(held: Record, mine: OperationInFlight) -> Record:
            if held.slot is not None and held.slot.name == name:
                raise ProblemError(
                    "slot-serves",
                    f"slot {name!r} of instance {instance_id!r} serves; switch to the other first",
                )
            try:
                await self._lead(held).keep(held)
            except HandoverError as error:
                raise ProblemError("switch-failed", f"instance {instance_id!r}: {error}") from None
            alone = slot_transitions.closed(held, name, self._calls.cause(mine)).record
            await self._traffic.direct(alone or held, drain)
            platform = self._platforms.find(held.instance.platform_type)
            try:
                if platform is not None:
                    await platform.stop(instance_id, name)
            except TimeoutError:
                raise ProblemError(
                    "stop-failed",
                    f"instance {instance_id!r}: slot {name!r} survived every signal",
                    exitCode=None,
                    log=[],
                ) from None
            return await self._holding.settled(
                instance_id, mine, lambda r, now: slot_transitions.closed(r, name, now)
            )

        return await self._holding.hold(instance_id, "close-slot", cause, work)

    def _lead(self, record: Record) -> Leadership | Mirroring:
        return self._mirroring if is_mirrored(record) else self._leadership


def _require_slot(record: Record, name: str) -> None:
    if running_in(record, name) is None:
        raise ProblemError(
            "slot-not-found", f"instance {record.instance.id!r} has no slot {name!r} that runs"
        )


def _require_weights(record: Record, weights: Mapping[str, int]) -> None:
    there = {slot.name for slot in slots_of(record)}
    for name, weight in weights.items():
        if weight or name not in there:  # what has died can still lose its share
            _require_slot(record, name)
    if sum(weights.values()) != 100 or min(weights.values()) < 0:
        raise ProblemError(
            "invalid-parameter",
            f"weights {dict(weights)} must be percents that make 100 together",
            parameter="weights",
            value=dict(weights),
        )
