"""Two slots of a server that cannot follow another: what is pushed is copied to both.

Such a server begins with what its sources can load, and gets a copy of all that is pushed from
before its queries are added on, so that a load and the copies leave no gap. Its reactions are held
by not being there, except where clients connect to them. What this cannot promise, exactly once,
it does not: see docs/adr/0013-what-cannot-follow-gets-copies.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from draas.contract.problems import ProblemError
from draas.contract.slots import CANDIDATE
from draas.control_plane.configurations import Configurations
from draas.control_plane.handover import HandoverError
from draas.control_plane.in_place import InPlace
from draas.control_plane.monitor import running_in
from draas.control_plane.placement import placed
from draas.control_plane.records import Record, Slot, slots_of
from draas.control_plane.traffic import Traffic
from draas.model.canonical import Configuration
from draas.model.configuration import observable_digest
from draas.model.own import LISTENING


class Mirroring:
    """Brings slots to all of their components, or to those of one that is held."""

    def __init__(self, configurations: Configurations, in_place: InPlace, traffic: Traffic) -> None:
        self._configurations = configurations
        self._in_place = in_place
        self._traffic = traffic

    async def fill(self, record: Record, candidate: Slot) -> None:
        """Give a candidate its queries, once copies of all pushes reach it; loading may take long.

        Raises:
            ProblemError: hot-apply-failed or instance-unobservable.
        """
        await self._bring(record, candidate, held=True, only_reported=True)

    async def digests(self, record: Record, serving: str) -> dict[str, str]:
        """What each slot reports, by name, once that one serves and the other is held."""
        found = {}
        for slot in slots_of(record):
            whole = await self._configuration(record, slot)
            target = whole if slot.name == serving else held_back(whole)
            found[slot.name] = observable_digest(target)
        return found

    async def give(self, record: Record, name: str) -> None:
        """See that the reactions of the slot deliver; those of the other one go on meanwhile.

        A candidate that missed a push never serves. The way back is open all the same: better the
        old slot without some changes than none.

        Raises:
            HandoverError: it missed a push, does not run, or cannot be changed.
        """
        chosen = next(each for each in slots_of(record) if each.name == name)
        candidate = chosen is record.spare and record.instance.second_slot == CANDIDATE
        if candidate and (missed := await self._traffic.missed(record)):
            raise HandoverError(f"{missed} changes did not reach it; it must be made anew")
        try:
            await self._bring(record, chosen, held=False, only_reported=not candidate)
        except ProblemError as error:
            raise HandoverError(error.detail) from None

    async def keep(self, record: Record) -> None:
        """See that the reactions of the serving slot deliver, before the other one goes.

        Raises:
            HandoverError: it could not be seen to.
        """
        if record.slot is not None and record.spare is not None:
            await self.give(record, record.slot.name)

    async def hold(self, record: Record) -> None:
        """Take the reactions of the spare slot away, if it runs.

        Raises:
            ProblemError: hot-apply-failed or instance-unobservable.
        """
        if record.spare is not None and running_in(record, record.spare.name) is not None:
            await self._bring(record, record.spare, held=True, only_reported=True)

    async def _bring(
        self, record: Record, slot: Slot, *, held: bool, only_reported: bool = False
    ) -> None:
        running = running_in(record, slot.name)
        if running is None:
            raise ProblemError("hot-apply-failed", f"slot {slot.name!r} does not run")
        whole = await self._configuration(record, slot)
        target = held_back(whole) if held else whole
        digest = observable_digest(target)
        await self._in_place.make(running, whole, target, digest, only_reported=only_reported)

    async def _configuration(self, record: Record, slot: Slot) -> Configuration:
        assert slot.generation is not None, "such a slot runs what is stored"
        stored = await self._configurations.generation(record.instance.id, slot.generation)
        return placed(msgspec.json.decode(stored.document), slot.placement, slot.name)


def is_mirrored(record: Record) -> bool:
    """Whether the spare slot, if there is one, gets copies because it cannot follow."""
    return record.spare is not None and record.spare.mirrored


def bare(configuration: Configuration) -> Configuration:
    """What such a slot is launched with: no query may load before copies of pushes arrive."""
    return {**configuration, "queries": [], "reactions": []}


def held_back(configuration: Configuration) -> Configuration:
    """The components of a slot whose reactions do not deliver, except to their own clients."""
    reactions: list[Any] = configuration.get("reactions") or []
    kept = [each for each in reactions if each["kind"] in LISTENING["reactions"]]
    return {**configuration, "reactions": kept}
