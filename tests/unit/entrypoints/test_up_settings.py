"""What `draas up` runs both with, and shows with `--check-config`."""

from __future__ import annotations

from pathlib import Path

import pytest

from draas.entrypoints.up.given import given
from draas.settings import SettingsError


def test_what_is_shown_is_what_both_are_started_with(tmp_path: Path) -> None:
    lines = given(tmp_path, ["--Api:Port=5001", "--Management:Port=0"]).lines()
    assert {line for line in lines if line.startswith("ControlPlaneUrl")} == {
        "ControlPlaneUrl=http://127.0.0.1:5001"
    }
    assert lines.count("Logging:Timestamps=true") == 2, "both logs are files"
    free = given(tmp_path, ["--Api:Port=0"]).lines()
    assert "ControlPlaneUrl=http://127.0.0.1:0" in free


def test_times_can_be_left_out_of_the_logs(tmp_path: Path) -> None:
    lines = given(tmp_path, ["--Logging:Timestamps=false"]).lines()
    assert lines.count("Logging:Timestamps=false") == 2


def test_each_gets_its_own_words(tmp_path: Path) -> None:
    found = given(tmp_path, ["--Router=none", "--Breaker:HoldTime=00:00:07"])
    assert "--Router=none" in found.control_plane_words
    assert "--Router=none" not in found.daemon_words
    assert "--Breaker:HoldTime=00:00:07" in found.daemon_words
    assert "--Breaker:HoldTime=00:00:07" not in found.control_plane_words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--Api:Port=5001", "--Management:Port=5001"], "--daemon-port", id="port"),
        pytest.param(["--ControlPlaneUrl=http://x"], "starts a control plane of its own", id="url"),
        pytest.param(["--Nothing=1"], "Nothing (command line): unknown key", id="unknown"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_started(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        given(tmp_path, arguments)
    (line,) = caught.value.faults
    assert said in line
