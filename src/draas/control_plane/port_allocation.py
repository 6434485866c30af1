"""Which port a new slot gets: the lowest free one of a bounded range (B-83, B-84)."""

from __future__ import annotations

from collections.abc import Callable, Collection


class PortsExhaustedError(Exception):
    """No port of the range is free; the message says what holds them and what to do."""


def choose_port(ports: range, taken: Collection[int], can_bind: Callable[[int], bool]) -> int:
    """The lowest of `ports` that is not `taken` and that the machine would let a server bind.

    Nothing is remembered here: `taken` is what is allocated now, so a released port is used again
    and the answer never leaves the range.

    Raises:
        PortsExhaustedError: every port of the range is taken or cannot be bound.
    """
    held = frozenset(taken)
    free = [port for port in ports if port not in held]
    for port in free:
        if can_bind(port):
            return port
    raise PortsExhaustedError(
        f"no port of {ports.start}-{ports.stop - 1} is free: {len(ports) - len(free)} belong to "
        f"instances and {len(free)} are in use by other programs; delete instances or widen the "
        "range with Process:FirstPort and Process:LastPort"
    )
