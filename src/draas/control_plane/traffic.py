"""Keeps the router at what the records say of slots and their share of the traffic."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from draas.contract.problems import ProblemError
from draas.contract.slots import NO_ROUTER
from draas.control_plane.placement import INTERNAL_HOST
from draas.control_plane.records import SERVER, Record, Slot, slots_of
from draas.control_plane.router import Address, Counters, Route, RouterError, TrafficRouter
from draas.telemetry import messages
from draas.telemetry.logs import emit


class Traffic:
    """The routes of all instances; without a router it does nothing, as there is nothing to do."""

    def __init__(self, router: TrafficRouter | None) -> None:
        self._router = router
        self._routed: dict[str, dict[str, Route]] = {}

    @property
    def name(self) -> str:
        """Which router it is, or `none`."""
        return self._router.kind if self._router else NO_ROUTER

    @property
    def mirrors(self) -> bool:
        """Whether the router can copy what is pushed to a second slot, and tells what was lost."""
        return self._router is not None and self._router.capabilities.mirror

    async def open(self, records: Iterable[Record]) -> None:
        """Route what an earlier control plane routed; what is no longer known goes.

        Raises:
            RouterError: the router itself cannot be had.
        """
        if self._router is None:
            return
        for record in records:
            self._routed[record.instance.id] = {each.name: each for each in routes_of(record)}
        routes = [each for own in self._routed.values() for each in own.values()]
        for name, error in (await self._router.open(routes)).items():
            emit(messages.ROUTE_FAILED, route=name, reason=error.reason)

    async def direct(self, record: Record, drain: float = 0.0) -> None:
        """See that the instance is reached as its record says; what it has left drains.

        All routes at once, so that `drain` is the time of the whole and not of each.

        Raises:
            ProblemError: the router did not do it (router-failed); again is safe.
        """
        if self._router is None:
            return
        wanted = {route.name: route for route in routes_of(record)}
        present = self._routed.setdefault(record.instance.id, {})
        present.update(wanted)
        outcomes = await asyncio.gather(
            *(self._router.ensure(route, drain) for route in wanted.values()),
            *(self._gone(present, name, drain) for name in present.keys() - wanted.keys()),
            return_exceptions=True,
        )
        for error in outcomes:
            if isinstance(error, RouterError):
                raise ProblemError("router-failed", f"instance {record.instance.id!r}: {error}")
            if error is not None:
                raise error

    async def _gone(self, present: dict[str, Route], name: str, drain: float) -> None:
        assert self._router is not None
        await self._router.remove(name, drain)
        del present[name]

    async def withdraw(self, instance_id: str) -> None:
        """Nothing of the instance is reached any more.

        Raises:
            ProblemError: the router did not do it (router-failed).
        """
        if self._router is None:
            return
        present = self._routed.get(instance_id, {})
        try:
            for name in list(present):
                await self._router.remove(name, 0.0)
                del present[name]
        except RouterError as error:
            raise ProblemError("router-failed", f"instance {instance_id!r}: {error}") from None
        self._routed.pop(instance_id, None)

    async def counters(self, record: Record) -> Mapping[str, Counters]:
        """What each slot was sent through the address of the server's API.

        Raises:
            ProblemError: nobody knows (router-failed).
        """
        if self._router is None or record.slot is None:
            return {}
        place = record.slot.placement.get(SERVER)
        if place is None:
            return {}
        return await self._counted(record, route_name(record.instance.id, SERVER, place.port))

    async def missed(self, record: Record) -> int:
        """How many of the pushes that were to be copied to the spare slot did not reach it.

        Raises:
            ProblemError: nobody knows (router-failed).
        """
        if self._router is None or record.spare is None:
            return 0
        missed = 0
        for route in routes_of(record):
            if record.spare.name in route.mirrors:
                counted = await self._counted(record, route.name)
                missed += counted[record.spare.name].mirror_failures
        return missed

    async def _counted(self, record: Record, name: str) -> Mapping[str, Counters]:
        assert self._router is not None
        try:
            return await self._router.traffic(name)
        except RouterError as error:
            raise ProblemError(
                "router-failed", f"instance {record.instance.id!r}: {error}"
            ) from None

    async def close(self) -> None:
        """Let go of the router; what it routes goes on."""
        if self._router is not None:
            await self._router.close()


def routes_of(record: Record) -> list[Route]:
    """A route for each address at which a slot is known, with all slots that have its part.

    A slot that moves the address is reached at both, until the other one is gone. What is pushed
    to a source goes to the slot that serves, as that one orders the changes for all; the other one
    gets a copy if it cannot follow.
    """
    slots = slots_of(record)
    copied = _copied(record)
    found: dict[str, Route] = {}
    for slot in slots:
        for part, place in slot.placement.items():
            name = route_name(record.instance.id, part, place.port)
            there = [each for each in slots if part in each.placement]
            pushes = copied and (part == SERVER or part.startswith("sources/"))
            both = pushes and len(there) == len(slots)
            found[name] = Route(
                name=name,
                listen=Address(place.host, place.port),
                backends={
                    each.name: Address(INTERNAL_HOST, each.placement[part].internal)
                    for each in there
                },
                weights=_shares(there, split=not part.startswith("sources/")),
                health=None if part.startswith("reactions/") else "/health",
                mirrors=(there[1].name,) if both else (),
                pushes_to=there[0].name if both and part == SERVER else "",
            )
    return list(found.values())


def _copied(record: Record) -> bool:
    """Whether both slots run and the second one gets copies of what is pushed to the first."""
    slot, spare = record.slot, record.spare
    if slot is None or spare is None or not spare.mirrored or spare.process_id is None:
        return False
    return any(part.startswith("sources/") for part in spare.placement)


def route_name(instance_id: str, part: str, port: int) -> str:
    """The name of a route: a part of an instance at one address."""
    return f"{instance_id}/{part}:{port}" if part else f"{instance_id}:{port}"


def _shares(slots: list[Slot], *, split: bool) -> dict[str, int]:
    """The weights of the slots, the serving one first; what nobody has is that one's."""
    weights = {slot.name: slot.weight if split else 0 for slot in slots}
    if not any(weights.values()):
        weights[slots[0].name] = 100
    return weights
