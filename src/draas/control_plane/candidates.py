"""Brings up the second slot of an instance, as far as it may go before traffic."""

from __future__ import annotations

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane import slot_transitions
from draas.control_plane.calls import Calls
from draas.control_plane.documents import Document
from draas.control_plane.handover import HandoverError
from draas.control_plane.holding import Holding
from draas.control_plane.leadership import Leadership
from draas.control_plane.mirroring import Mirroring, bare, held_back, is_mirrored
from draas.control_plane.monitor import running_of
from draas.control_plane.placing import Placing
from draas.control_plane.platforms import Platforms
from draas.control_plane.ports import Launch, LaunchError, Platform
from draas.control_plane.records import Record, Slot, free_name
from draas.control_plane.traffic import Traffic
from draas.model.configuration import for_launch, observable_digest
from draas.model.instance import OperationInFlight


class Candidates:
    """For the calls that hold the instance; a launch that was broken off is gone on with."""

    def __init__(
        self,
        calls: Calls,
        holding: Holding,
        platforms: Platforms,
        placing: Placing,
        traffic: Traffic,
        leadership: Leadership,
        mirroring: Mirroring,
    ) -> None:
        self._calls = calls
        self._holding = holding
        self._platforms = platforms
        self._placing = placing
        self._traffic = traffic
        self._leadership = leadership
        self._mirroring = mirroring

    async def launched(
        self, held: Record, slot: Slot, what: Document, mine: OperationInFlight
    ) -> Record:
        """Bring a candidate up behind the serving slot; what does not come up is forgotten.

        Raises:
            LaunchError: it did not come up.
            ProblemError: it cannot be looked at now (instance-unobservable), or what it was to
                follow is gone (instance-not-running).
        """
        instance_id = held.instance.id
        platform = self._platforms.available(held.instance.platform_type)
        known = held.spare if slot_transitions.is_open(held, slot.digest) else None
        named = msgspec.structs.replace(slot, name=free_name(held))
        keep = known.placement if known else None
        with self._placing.placed(named, what, keep) as (placed, inside):
            recorded, launches = placed, inside
            if slot.mirrored:
                digest = observable_digest(held_back(inside))
                recorded = msgspec.structs.replace(placed, components_digest=digest)
                launches = bare(inside)
            record = await self._holding.change(
                instance_id, mine, lambda r, now: slot_transitions.opening(r, recorded, now)
            )
        candidate = record.spare
        assert candidate is not None
        launch = Launch(
            instance_id,
            candidate.name,
            for_launch(launches, instance_id=instance_id),
            candidate.host,
            candidate.port,
            follow="" if slot.mirrored else self._leadership.leader_url(record),
        )
        try:
            running = await self._placing.start(platform, launch, candidate)
        except LaunchError:
            await self._forget(instance_id, candidate.name, mine)
            await self._require_served(record)
            raise
        after = await self._holding.settled(
            instance_id, mine, lambda r, now: slot_transitions.opened(r, running, now)
        )
        await self._traffic.direct(after)
        if is_mirrored(after):
            await self._filled(platform, after, mine)
        return after

    async def _filled(self, platform: Platform, record: Record, mine: OperationInFlight) -> None:
        """Give the candidate its queries; one that cannot have them is gone.

        Raises:
            LaunchError: it cannot.
            ProblemError: it cannot be looked at now (instance-unobservable).
        """
        instance_id, candidate = record.instance.id, record.spare
        assert candidate is not None
        try:
            await self._mirroring.fill(record, candidate)
        except ProblemError as error:
            if error.kind != "hot-apply-failed":
                raise
            alone = slot_transitions.closed(record, candidate.name, self._calls.cause(mine)).record
            await self._traffic.direct(alone or record)
            await platform.stop(instance_id, candidate.name)
            await self._forget(instance_id, candidate.name, mine)
            raise LaunchError(error.detail) from None

    async def _forget(self, instance_id: str, name: str, mine: OperationInFlight) -> None:
        await self._holding.settled(
            instance_id, mine, lambda r, now: slot_transitions.closed(r, name, now)
        )

    async def _require_served(self, record: Record) -> None:
        """What cannot follow because nothing is there to be followed is not to blame."""
        try:
            if (serving := running_of(record)) is None:
                raise HandoverError("it has ended")
            await self._leadership.is_known_to(serving)
        except HandoverError as error:
            raise ProblemError(
                "instance-not-running",
                f"instance {record.instance.id!r}: what its second slot was to follow does not "
                f"answer: {error}",
            ) from None
