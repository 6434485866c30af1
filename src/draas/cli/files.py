"""Files that commands read: YAML or JSON, `-` is stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from draas.cli.exit_codes import Code, CommandError

STDIN = "-"


def documents(file: str) -> list[Any]:
    """Every document of the file; JSON is YAML, so both are read the same way.

    Raises:
        CommandError: it cannot be read.
    """
    name = "stdin" if file == STDIN else file
    try:
        text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
        return [each for each in yaml.load_all(text, _Loader) if each is not None]
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}", Code.USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8 at byte {error.start}", Code.USAGE) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is nested too deep"
        raise CommandError(f"{name}{where}: {problem}", Code.USAGE) from error


class _Loader(yaml.SafeLoader):
    """YAML with JSON's types only: a date stays the text that was written."""


_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
