"""Which slot of an instance orders the changes: given from one to the other, and back."""

from __future__ import annotations

import asyncio
import contextlib
from weakref import WeakValueDictionary

from draas.contract.drasi_server import FOLLOWER, LEADER, SEALED
from draas.control_plane.handover import Handover, HandoverError, NoHandoverError
from draas.control_plane.monitor import running_in, running_of
from draas.control_plane.ports import Running
from draas.control_plane.records import Record, slots_of


class Leadership:
    """Gives the lead over, so that no change is lost or applied twice and no result told twice."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, instance_id: str) -> asyncio.Lock:
        """Held by whoever seals: the end of one seal must not end another's."""
        return self._turns.setdefault(instance_id, asyncio.Lock())

    def leader_url(self, record: Record) -> str:
        """Where the serving slot is followed; empty where nothing serves."""
        return f"http://{record.slot.host}:{record.slot.port}" if record.slot else ""

    async def is_known_to(self, running: Running) -> bool:
        """Whether the server can be followed by a second one; one of another make cannot.

        Raises:
            HandoverError: it does not answer now.
        """
        try:
            await self._handover.status(running)
        except NoHandoverError:
            return False
        return True

    async def give(self, record: Record, name: str) -> None:
        """See that the slot leads and that the other one, if it runs, follows it.

        Every step is observed before it is made, so that it goes on after any interruption.

        Raises:
            HandoverError: it could not be seen to; whoever led before leads on if it can.
        """
        async with self.turn(record.instance.id):
            chosen, other = await self._led(record, name)
            if other is not None and (await self._handover.status(other)).role == SEALED:
                await self._handover.follow(other, chosen)

    async def keep(self, record: Record) -> None:
        """See that the serving slot leads, before the other one goes; that one may be stuck.

        Raises:
            HandoverError: it could not be seen to.
        """
        if record.slot is not None and record.spare is not None:
            async with self.turn(record.instance.id):
                await self._led(record, record.slot.name)

    async def mend(self, record: Record) -> None:
        """After a crash: where nobody leads, let the slot that serves lead on, if it can."""
        serving = running_of(record)
        if serving is None:
            return
        with contextlib.suppress(HandoverError):
            if (await self._handover.status(serving)).role == SEALED:
                await self._handover.unseal(serving)

    async def _led(self, record: Record, name: str) -> tuple[Running, Running | None]:
        """The slot, which leads now, and the other one, if it runs."""
        slots = {slot.name: running_in(record, slot.name) for slot in slots_of(record)}
        chosen = slots.pop(name, None)
        other = next(iter(slots.values()), None)
        if chosen is None:
            raise HandoverError("it does not run")
        if (await self._handover.status(chosen)).role != LEADER:
            await self._promote(chosen, other)
        return chosen, other

    async def _promote(self, chosen: Running, other: Running | None) -> None:
        mine = await self._handover.status(chosen)
        if other is None and mine.role == SEALED:
            await self._handover.unseal(chosen)
            return
        if other is None:
            await self._handover.promote(chosen, None)
            return
        if (await self._handover.status(other)).role == FOLLOWER:
            await self._handover.unseal(chosen)
            return
        if mine.role == SEALED:  # It led, and has not heard of what came since.
            await self._handover.follow(chosen, other)
        sequence = await self._handover.seal(other, chosen)
        try:
            await self._handover.promote(chosen, sequence)
        except HandoverError:
            # Only one that says that it does not lead is taken at its word: two must never lead.
            with contextlib.suppress(HandoverError):
                if (await self._handover.status(chosen)).role == FOLLOWER:
                    await self._handover.unseal(other)
            raise
