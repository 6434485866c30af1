"""BlueGreen: smoke tests, a switch, a watched soak with the old slot at hand (D-13)."""

from __future__ import annotations

from functools import partial

from draas.decide.rules import Rules
from draas.decide.strategies import two_slots
from draas.decide.strategies.strategy import Strategy
from draas.model.operation import Phase

ORDER = (
    Phase.OPENING,
    Phase.PROVING,
    Phase.TESTING,
    Phase.SWITCHING,
    Phase.VERIFYING,
    Phase.SOAKING,
    Phase.CLOSING,
)


def between(rules: Rules) -> tuple[str, ...]:
    """What lies between a proven candidate and the end of the old slot, in words."""
    return (
        "make the smoke tests against the new slot",
        "switch: traffic, leadership and reactions to the new slot",
        f"watch it for {rules.soak_time}; the old slot stays as the way back",
    )


BLUE_GREEN = Strategy(
    "BlueGreen",
    partial(two_slots.steps, between),
    two_slots.command,
    partial(two_slots.advance, ORDER),
    two_slots=True,
)
