"""The slots of an instance as they are now: read from the servers themselves."""

from __future__ import annotations

import asyncio

import msgspec

from draas.contract.slots import MIRRORED, SERVING, Followed, Slots
from draas.contract.slots import Slot as SlotView
from draas.control_plane.handover import Handover, HandoverError
from draas.control_plane.mirroring import is_mirrored
from draas.control_plane.monitor import components_digest, running_in
from draas.control_plane.ports import Observer, Running
from draas.control_plane.records import Record, Slot, slots_of
from draas.control_plane.traffic import Traffic
from draas.model.status import Health


async def slots_view(
    record: Record, traffic: Traffic, observer: Observer, handover: Handover
) -> Slots:
    """Every slot with its health, what it reports and how far it follows, read at one time.

    Raises:
        ProblemError: nobody knows what a mirrored slot missed (router-failed).
    """
    missed = await traffic.missed(record) if is_mirrored(record) else 0

    async def one(slot: Slot) -> SlotView:
        serves = slot is record.slot
        view = SlotView(
            name=slot.name,
            role=SERVING if serves else record.instance.second_slot or "",
            digest=slot.digest,
            generation=slot.generation,
            components_digest=slot.components_digest,
            host=slot.host,
            port=slot.port,
            process_id=slot.process_id,
            started_at=slot.at,
            weight=slot.weight,
        )
        running = running_in(record, slot.name)
        if running is None:
            down = {"health": Health.UNHEALTHY.value, "reason": "nothing runs in it"}
            return msgspec.structs.replace(view, **down)
        seen, followed = await asyncio.gather(
            observer.observe(running), _followed(handover, running)
        )
        if followed is None and slot.mirrored and not serves:
            error = f"{missed} changes did not reach it" if missed else None
            followed = Followed(role=MIRRORED, lag=None, error=error)
        observed, unreadable = components_digest(seen)
        return msgspec.structs.replace(
            view,
            health=(Health.UNKNOWN if unreadable else seen.health).value,
            reason=unreadable or seen.reason,
            observed_components_digest=observed,
            handover=followed,
        )

    return Slots(
        router=traffic.name,
        slots=list(await asyncio.gather(*(one(slot) for slot in slots_of(record)))),
    )


async def _followed(handover: Handover, running: Running) -> Followed | None:
    """`None` where the server cannot tell, as one of another make cannot."""
    try:
        return await handover.status(running)
    except HandoverError:
        return None
