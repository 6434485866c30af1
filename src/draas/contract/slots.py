"""Slots on the wire: what is sent about them, and the values that are answered."""

from __future__ import annotations

from typing import Any

import msgspec

from draas.model.slots import (
    CANDIDATE,
    MAIN,
    MIRRORED,
    MOST_ROWS,
    NO_ROUTER,
    RETIRED,
    SECOND,
    SERVING,
    Counters,
    Followed,
    Loss,
    Parity,
    QueryParity,
    Slot,
    SlotPlan,
    Slots,
    Traffic,
    other,
)

__all__ = [
    "CANDIDATE",
    "MAIN",
    "MIRRORED",
    "MOST_ROWS",
    "NO_ROUTER",
    "RETIRED",
    "SECOND",
    "SERVING",
    "Counters",
    "Followed",
    "Loss",
    "Parity",
    "QueryParity",
    "Slot",
    "SlotCandidate",
    "SlotPlan",
    "Slots",
    "Traffic",
    "Weights",
    "other",
]


class SlotCandidate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body that plans or opens a candidate."""

    configuration: dict[str, Any]
    allow_state_loss: bool = False


class Weights(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The share of the traffic of each slot, in percent: 100 in all."""

    weights: dict[str, int]
