"""NightRestart: a restart that waits for the night, checked but untouched until then."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from draas.decide.commands import Command, Result
from draas.decide.rules import Rules
from draas.decide.strategies.restart import RESTART
from draas.decide.strategies.strategy import Strategy
from draas.model.instance import InstanceState
from draas.model.operation import Operation, Phase

BEGINS, ENDS = 22, 5


def steps(state: InstanceState, target: str, rules: Rules) -> tuple[str, ...]:
    """The change in words, as people see it before it is made."""
    return (f"wait until {BEGINS}:00 UTC", *RESTART.steps(state, target, rules))


def command(operation: Operation, rules: Rules) -> Command:
    """What the operation's phase asks for: as a restart."""
    return RESTART.command(operation, rules)


def advance(operation: Operation, result: Result, rules: Rules, now: datetime) -> Operation:
    """As a restart, which does not stop anything by day."""
    after = RESTART.advance(operation, result, rules, now)
    begins = operation.phase is Phase.CHECKING and after.phase is Phase.STOPPING
    if not begins or not ENDS <= now.hour < BEGINS:
        return after
    night = now.replace(hour=BEGINS, minute=0, second=0, microsecond=0)
    return replace(after, wake_at=night, deadline=after.deadline + (night - now))


NIGHT_RESTART = Strategy("NightRestart", steps, command, advance)
