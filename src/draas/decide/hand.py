"""What a person asks of an operation under way, and what it makes of that at its next step."""

from __future__ import annotations

from dataclasses import replace

from draas.decide.strategies import STRATEGIES
from draas.model.operation import Hand, Operation, Phase, Wish

GOING_BACK = (
    Phase.CLOSING,
    Phase.TAKING_BACK,
    Phase.CLOSING_CANDIDATE,
    Phase.RESTORING,
    Phase.VERIFYING_RESTORED,
)
"""Where nothing can be aborted any more."""
JUDGED = (Phase.PROVING, Phase.ANALYSING, Phase.SOAKING)
"""Where a person can say that it is good enough."""


def refusal(operation: Operation, wish: Wish) -> str:
    """Why an operation cannot do as a person wishes now; empty if it can."""
    stands = f"{operation.strategy} stands at {operation.phase.value}"
    if wish is Wish.ABORT:
        return f"{stands}: that cannot be aborted" if operation.phase in GOING_BACK else ""
    strategy = STRATEGIES.get(operation.strategy)
    if strategy is None or not strategy.two_slots:
        return f"{operation.strategy} has no steps at which it could be {wish.value}d"
    if wish is Wish.PROMOTE and operation.phase not in JUDGED:
        return f"{stands}: nothing is judged there"
    if wish is Wish.RESUME and not operation.paused:
        return "it is not paused"
    return ""


def is_new(hand: Hand | None, operation: Operation) -> bool:
    """Whether a person asked something of the operation that it has not obeyed yet."""
    if hand is None or hand.operation_id != operation.id:
        return False
    return operation.obeyed is None or hand.at > operation.obeyed


def obeying(operation: Operation, hand: Hand | None) -> Operation:
    """The operation after what was asked of it; what was obeyed once is not obeyed again.

    Promoted, the step under way counts as passed, unless it fails. Paused, it goes no step on, and
    is still watched. Aborted, it goes back by the rules of its strategy.
    """
    if hand is None or not is_new(hand, operation):
        return operation
    told = replace(operation, obeyed=hand.at)
    match hand.wish:
        case Wish.PROMOTE:
            return replace(told, promoted=True, paused="")
        case Wish.PAUSE:
            return replace(told, paused=str(hand))
        case Wish.RESUME:
            return replace(told, paused="")
        case Wish.ABORT:
            return replace(told, aborted=str(hand))
