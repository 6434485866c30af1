"""States by name and by the prototype's number; strangers are refused or Unknown."""

from __future__ import annotations

from typing import Any

import pytest

from draas.model.status import (
    Health,
    InstanceStatus,
    NumberedEnum,
    PlatformType,
    RunState,
    Strategy,
)


@pytest.mark.parametrize(
    ("enum", "names"),
    [
        pytest.param(
            InstanceStatus,
            "Created Running Stopped Error ConfigurationChanged Starting Stopping Unknown",
            id="status",
        ),
        pytest.param(PlatformType, "Process Docker AKS", id="platform"),
        pytest.param(Strategy, "Restart RollingUpdate BlueGreen Canary Manual", id="strategy"),
        pytest.param(RunState, "Running Stopped", id="run-state"),
        pytest.param(Health, "Healthy Unhealthy Degraded Unknown", id="health"),
    ],
)
def test_names_numbers_and_digits_mean_the_same(enum: type[NumberedEnum], names: str) -> None:
    assert [str(member) for member in enum] == names.split()
    for number, name in enumerate(names.split()):
        for spelling in (name, name.upper(), name.lower(), f" {name}", number, str(number)):
            assert enum.parse(spelling).value == name
        assert enum.parse(name).number == number


@pytest.mark.parametrize(
    "value", ["Paused", "", "8", "-1", 8, -1, True, None, 1.0, [], "²", "1" * 5000]
)
def test_strangers_are_refused_with_what_is_allowed(value: Any) -> None:
    with pytest.raises(ValueError, match=r"Created \(0\), Running \(1\)"):
        InstanceStatus.parse(value)
    assert InstanceStatus.parse_or_unknown(value) is InstanceStatus.UNKNOWN
    assert Health.parse_or_unknown(value) is Health.UNKNOWN


def test_a_known_value_is_not_unknown() -> None:
    assert InstanceStatus.parse_or_unknown(1) is InstanceStatus.RUNNING
