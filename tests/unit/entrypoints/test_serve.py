"""What is shown of settings, and how the two processes' command lines become settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from draas.control_plane.options import ControlPlaneSettings
from draas.entrypoints.serve import (
    effective,
    listening,
    load_both,
    load_control_plane,
    load_daemon,
)
from draas.reconciliation.options import DaemonSettings
from draas.settings import SettingsError, load, setting


@dataclass(frozen=True, slots=True)
class Section:
    wait: timedelta = setting(timedelta(seconds=90))
    token: str = setting("", secret=True)


@dataclass(frozen=True, slots=True)
class Everything:
    section: Section = field(default_factory=Section)
    names: Mapping[str, int] = setting({"a": 1})
    hosts: tuple[str, ...] = setting(("x", "y"))


def test_every_setting_is_shown_as_it_is_written_and_secrets_are_not() -> None:
    shown = list(effective(Everything(Section(token="hunter2"))))
    assert shown == [
        "Section:Wait=00:01:30",
        "Section:Token=***",
        "Names:a=1",
        "Hosts:0=x",
        "Hosts:1=y",
    ]


def test_a_secret_that_is_not_set_is_shown_as_that() -> None:
    assert "Section:Token=" in list(effective(Everything()))


@pytest.mark.parametrize("cls", [ControlPlaneSettings, DaemonSettings])
def test_what_is_shown_can_be_given_again(tmp_path: Path, cls: type) -> None:
    arguments = [f"--{line}" for line in effective(cls()) if not line.endswith("=")]
    assert load(cls, directory=tmp_path, environ={}, arguments=arguments) == cls()


def test_host_and_port_become_settings_where_they_are_given() -> None:
    assert listening("Api", None, None) == []
    assert listening("Api", "::1", "0") == ["--Api:Host=::1", "--Api:Port=0"]


def test_a_process_refuses_what_only_the_other_one_would_read(tmp_path: Path) -> None:
    for read, word, whose in (
        (load_daemon, "--Api:Port=abc", "the control plane"),
        (load_control_plane, "--Reconciliation:MaxRetries=2", "the daemon"),
    ):
        with pytest.raises(SettingsError) as caught:
            read(tmp_path, [word])
        (line,) = caught.value.faults
        assert f"(command line): a setting of {whose}" in line


def test_one_command_line_has_the_settings_of_both(tmp_path: Path) -> None:
    words = ["--Api:Port=5001", "--Breaker:HoldTime", "00:00:07", "--Logging:Format=json"]
    plane, daemon = load_both(tmp_path, words)
    assert (plane.api.port, plane.logging) == (5001, daemon.logging)
    assert daemon.breaker.hold_time == timedelta(seconds=7)


def test_both_settings_faults_are_told_together_and_each_once(tmp_path: Path) -> None:
    wrong = ["--Nothing=1", "--Process:FirstPort=x", "--Breaker:HoldTime=x", "--Logging:Format=x"]
    with pytest.raises(SettingsError) as caught:
        load_both(tmp_path, wrong)
    keys = [line.split(" ")[0] for line in caught.value.faults]
    assert sorted(keys) == [
        "Breaker:HoldTime",
        "Logging:Format",
        "Nothing",
        "Process:FirstPort",
    ]
