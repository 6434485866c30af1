"""docs/cli.md names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

import draas.entrypoints.draas  # noqa: F401  # adds the commands that start things
from draas.cli.app import app
from draas.cli.exit_codes import HELP, Code

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()


def test_every_command_has_its_heading_and_every_heading_its_command() -> None:
    commands = set(getattr(get_command(app), "commands"))  # noqa: B009 - not in the static type
    assert set(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE)) == commands


def test_every_exit_code_is_explained_on_the_page_and_in_the_help() -> None:
    codes = {str(int(code)) for code in Code}
    assert codes | {"130"} == set(re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE))
    assert codes == set(re.findall(r"\b\d\b", HELP))
