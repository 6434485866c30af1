"""The command line of `draas-instance`."""

from __future__ import annotations

from pathlib import Path

import pytest

from draas.entrypoints.instance import parse
from draas.instance_host.server import Options

PARSED = [
    pytest.param(["--config", "a.json"], Options(Path("a.json")), id="file"),
    pytest.param(["-c", "a.json", "--port", "81"], Options(Path("a.json"), 81), id="short, port"),
    pytest.param(
        ["--config=a=b.json", "--plugins-dir=p"], Options(Path("a=b.json"), None, "p"), id="equals"
    ),
    pytest.param(
        ["-c", "a", "--follow", "http://127.0.0.1:1"],
        Options(Path("a"), follow="http://127.0.0.1:1"),
        id="follower",
    ),
    pytest.param(
        ["-c", "a", "--restore", "f"], Options(Path("a"), restore=Path("f")), id="restore"
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), PARSED)
def test_options(arguments: list[str], expected: Options) -> None:
    assert parse(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param([], "--config FILE is required", id="nothing"),
        pytest.param(["--config"], "--config needs a value", id="no value"),
        pytest.param(["--config", "a", "--port", "0"], "--port 0", id="port 0"),
        pytest.param(["--config", "a", "--port", "65536"], "--port 65536", id="port too large"),
        pytest.param(["-c", "a", "--follow", "u", "--restore", "f"], "--follow and", id="both"),
        pytest.param(["a.json"], "unknown argument a.json", id="no name"),
    ],
)
def test_faults(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(arguments) == 2
    assert named in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--help"]) == 0
    assert "--plugins-dir" in capsys.readouterr().out
