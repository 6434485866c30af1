"""Gives slots the ports at which they listen behind the router."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane.documents import Document
from draas.control_plane.fleet import Fleet
from draas.control_plane.placement import INTERNAL_HOST, listeners, placed
from draas.control_plane.port_allocation import PortsExhaustedError, choose_port
from draas.control_plane.ports import Launch, LaunchError, Platform, Running, SlotOccupiedError
from draas.control_plane.records import SERVER, Place, Slot, slots_of
from draas.model.configuration import Configuration, observable_digest


class OvertakenError(LaunchError):
    """Another program took a port of the slot between its choice and the start."""


class Placing:
    """Places slots; `ports` are for them alone, and without any they listen where clients ask."""

    def __init__(
        self,
        fleet: Fleet,
        ports: range | None,
        can_bind: Callable[[str, int], bool],
        jitter: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._ports = ports
        self._jitter = jitter
        self._can_bind = can_bind
        self._promised: set[int] = set()

    @contextmanager
    def placed(
        self, slot: Slot, what: Document, keep: Mapping[str, Place] | None = None
    ) -> Iterator[tuple[Slot, Configuration]]:
        """The slot with its ports, and what it is started with; kept free until the end.

        Until then the slot must have been recorded. Parts in `keep` stay where they are.

        Raises:
            ProblemError: ports-exhausted.
        """
        if self._ports is None:
            yield slot, what.configuration
            return
        placement: dict[str, Place] = {}
        chosen: list[int] = []
        try:
            for part, host, port in listeners(what.configuration):
                known = (keep or {}).get(part)
                if known is None:
                    chosen.append(self._choose())
                placement[part] = Place(host, port, known.internal if known else chosen[-1])
            configuration = placed(what.configuration, placement, slot.name)
            yield (
                msgspec.structs.replace(
                    slot,
                    host=INTERNAL_HOST,
                    port=placement[SERVER].internal,
                    components_digest=observable_digest(configuration),
                    placement=placement,
                ),
                configuration,
            )
        finally:
            self._promised.difference_update(chosen)

    async def start(self, platform: Platform, launch: Launch, slot: Slot) -> Running:
        """Start the slot; what occupies it is a leftover of ours, since the records say none runs.

        Raises:
            LaunchError: it did not come up (OvertakenError: at other ports it may).
        """
        try:
            return await _started(platform, launch)
        except LaunchError as error:
            inside = [place.internal for place in slot.placement.values()]
            if all(self._can_bind(INTERNAL_HOST, port) for port in inside):
                raise
            raise OvertakenError(str(error), exit_code=error.exit_code, log=error.log) from error

    def _choose(self) -> int:
        """Any free port: others on this machine choose too, and a server binds only later."""
        assert self._ports is not None
        taken = set(self._promised)
        for record in self._fleet:
            for slot in slots_of(record):
                taken.update(place.internal for place in slot.placement.values())
        first = self._ports[int(self._jitter() * len(self._ports))]
        above, below = range(first, self._ports.stop), range(self._ports.start, first)
        for ports in (above, below):
            with suppress(PortsExhaustedError):
                port = choose_port(ports, taken, lambda port: self._can_bind(INTERNAL_HOST, port))
                self._promised.add(port)
                return port
        raise ProblemError(
            "ports-exhausted",
            f"no port of {self._ports.start}-{self._ports.stop - 1} is free for another slot; "
            "widen the range with Slots:FirstPort and Slots:LastPort",
        )


async def _started(platform: Platform, launch: Launch) -> Running:
    try:
        return await platform.start(launch)
    except SlotOccupiedError:
        await platform.stop(launch.instance_id, launch.slot)
    try:
        return await platform.start(launch)
    except SlotOccupiedError as error:
        raise LaunchError(str(error)) from None
