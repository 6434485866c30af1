"""What a daemon asks of the world besides the control plane: candidates themselves, and metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from draas.decide.health import Probed
from draas.model.slots import Slot, Traffic


@dataclass(frozen=True, slots=True)
class Outside:
    """Each is left out where it is `None`.

    `probe` asks a slot, at its own address, for its health and components; it never raises, and
    answers `None` where that address is of another machine's own.
    `smoke_test` makes the smoke tests against a slot and tells what failed. `counters` replaces
    what the router counted by what another source counted; it raises `ControlPlaneError`.
    """

    probe: Callable[[str, Slot], Awaitable[Probed | None]] | None = None
    smoke_test: Callable[[str, Slot], Awaitable[tuple[str, ...]]] | None = None
    counters: Callable[[str, Traffic], Awaitable[Traffic]] | None = None


NOTHING_OUTSIDE = Outside()
"""The control plane's word is all there is."""
