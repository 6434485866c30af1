"""Canary: more and more of the traffic, each step judged beside the old slot (D-13, R-070)."""

from __future__ import annotations

from functools import partial

from draas.decide.rules import Rules
from draas.decide.strategies import two_slots
from draas.decide.strategies.strategy import Strategy
from draas.model.operation import Phase

ORDER = (
    Phase.OPENING,
    Phase.PROVING,
    Phase.SHIFTING,
    Phase.ANALYSING,
    Phase.SWITCHING,
    Phase.VERIFYING,
    Phase.CLOSING,
)


def between(rules: Rules) -> tuple[str, ...]:
    """What lies between a proven candidate and the end of the old slot, in words."""
    shares = (f"{percent} % of the traffic, then analyse" for percent in rules.canary_steps)
    return (*shares, "switch: leadership and reactions to the new slot", "verify it in service")


CANARY = Strategy(
    "Canary",
    partial(two_slots.steps, between),
    two_slots.command,
    partial(two_slots.advance, ORDER),
    two_slots=True,
)
