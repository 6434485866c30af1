"""RollingUpdate: a second slot, proven, takes over at once; the old one is drained away (D-13)."""

from __future__ import annotations

from functools import partial

from draas.decide.rules import Rules
from draas.decide.strategies import two_slots
from draas.decide.strategies.strategy import Strategy
from draas.model.operation import Phase

ORDER = (Phase.OPENING, Phase.PROVING, Phase.SWITCHING, Phase.VERIFYING, Phase.CLOSING)


def between(rules: Rules) -> tuple[str, ...]:
    """What lies between a proven candidate and the end of the old slot, in words."""
    return ("switch: traffic, leadership and reactions to the new slot", "verify it in service")


ROLLING_UPDATE = Strategy(
    "RollingUpdate",
    partial(two_slots.steps, between),
    two_slots.command,
    partial(two_slots.advance, ORDER),
    two_slots=True,
)
