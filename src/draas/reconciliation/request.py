"""Why a pass over an instance is made."""

from __future__ import annotations

from dataclasses import dataclass

from draas.model.reconciliation import Trigger

DAEMON = "reconciliation-daemon"
"""The actor of what nobody asked for."""


@dataclass(frozen=True, slots=True)
class Request:
    """What made the daemon look; `strategy` is a person's choice, else the settings' is used.

    With `allow_state_loss` that person agrees that queries may begin empty.
    """

    trigger: Trigger
    actor: str = DAEMON
    strategy: str | None = None
    allow_state_loss: bool = False
