"""What `--help` prints of every command is what was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import draas.entrypoints.draas  # noqa: F401  # adds the commands that start things
from draas.cli.app import app

COMMANDS: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009 - not in the type


def _texts(command: Any) -> Iterator[str]:
    yield command.help
    for each in command.params:
        yield getattr(each, "help", "") or ""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_bracket_is_taken_for_markup(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "400", "TERM": "dumb"})
    printed = re.sub(r"\W+", " ", done.stdout)
    for text in _texts(COMMANDS[name]):
        assert re.sub(r"\W+", " ", text).strip() in printed
    assert "\\[" not in done.stdout


def test_the_example_of_a_path_is_whole() -> None:
    done = CliRunner().invoke(app, ["patch", "--help"], env={"COLUMNS": "400"})
    assert "'queries[open-orders].query=MATCH …'" in done.stdout
