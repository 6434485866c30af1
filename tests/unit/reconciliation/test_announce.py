"""What is said of a call that the control plane refused or failed: which call it was, and why."""

from __future__ import annotations

import pytest

from draas.client.port import ControlPlaneError, RefusedError, UnreachableError
from draas.decide.commands import (
    Apply,
    Check,
    Close,
    Command,
    Open,
    Shift,
    SmokeTest,
    Start,
    Switch,
    TakeBack,
)
from draas.reconciliation.announce import call_failed

REFUSED = RefusedError(409, "two-slots-impossible", "instance 'a' cannot have a second slot: no")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Open(), "Failed to open a second slot of instance a: instance 'a' cannot"),
        (Shift(25), "Failed to share out the traffic of instance a: "),
        (Switch(), "Failed to switch the slots of instance a: "),
        (TakeBack(), "Failed to take back the traffic of instance a: "),
        (Close(), "Failed to remove a slot of instance a: "),
        (SmokeTest(), "Failed to make the smoke tests of instance a: "),
        (Apply(), "Failed to change instance a in place: "),
        (Start(), "Failed to start instance a. Status: 409"),
        (Check(), "Failed to get instance a from ControlPlane"),
    ],
    ids=lambda given: type(given).__name__ if not isinstance(given, str) else "",
)
def test_the_call_is_named(command: Command, text: str, caplog: pytest.LogCaptureFixture) -> None:
    call_failed(command, "a", REFUSED)
    assert text in caplog.text
    assert isinstance(command, Check) or "Failed to get" not in caplog.text


def test_an_outage_is_told_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    error: ControlPlaneError = UnreachableError("no answer")
    call_failed(Open(), "a", error)
    assert caplog.text == ""
