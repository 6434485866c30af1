"""The one signature of all strategies: three pure functions over an operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from draas.decide.commands import Command, Result
from draas.decide.rules import Rules
from draas.model.instance import InstanceState
from draas.model.reconciliation import Operation


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way of applying a configuration.

    `steps` tells people what would be done; `command` is what the operation's phase asks for;
    `advance` is the operation after that went as it did. The daemon stores the operation before
    each command, so every command must be safe to repeat. While `advance` leaves the phase as it is
    after a command that went well, the command is given again after a while.

    One with `two_slots` needs what `slots/plan` says is possible, and can be paused and promoted.
    """

    name: str
    steps: Callable[[InstanceState, str, Rules], tuple[str, ...]]
    command: Callable[[Operation, Rules], Command]
    advance: Callable[[Operation, Result, Rules, datetime], Operation]
    two_slots: bool = False
