"""Where settings come from, by .NET's rules: files < environment < command line (R-141, R-142)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from draas.settings.jsonc import JsonSyntaxError, read_leaves
from draas.settings.schema import Setting

ENVIRONMENT_NAMES = ("DRAAS_ENVIRONMENT", "DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT")
ALIKE = 0.8
"""From where on, between 0 and 1, another word is taken for a misspelt one."""
COMMAND_LINE = "command line"
"""The origin of what an argument says."""
_PREFIX = re.compile(r"draas_+", re.IGNORECASE)
_SWITCH = re.compile(r"(?:--|/)(?P<key>[^=\s]+)(?P<value>=.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value as written; `text` is None for JSON's null, `origin` says where it stands."""

    path: tuple[str, ...]
    text: str | None
    origin: str

    @property
    def folded(self) -> tuple[str, ...]:
        """The path by which leaves override each other: case does not matter."""
        return fold(self.path)


def fold(path: Iterable[str]) -> tuple[str, ...]:
    """`path` without case."""
    return tuple(part.casefold() for part in path)


def gather(
    directory: Path,
    environ: Mapping[str, str],
    arguments: Sequence[str],
    known: Sequence[Setting],
    faults: list[str],
) -> dict[tuple[str, ...], Leaf]:
    """The last word on every key, by folded path; what cannot be read is added to `faults`."""
    merged: dict[tuple[str, ...], Leaf] = {}
    for source in (
        *(from_file(directory / name, faults) for name in _file_names(environ, faults)),
        from_environment(environ, known, faults),
        from_arguments(arguments, faults),
    ):
        _override(merged, source)
    return merged


def _override(merged: dict[tuple[str, ...], Leaf], source: Sequence[Leaf]) -> None:
    heads = {key[:size] for key in merged for size in range(1, len(key))}
    for leaf in source:
        key = leaf.folded
        if key in heads:  # a whole list is said anew: its items go
            for below in [other for other in merged if other[: len(key)] == key]:
                del merged[below]
        for size in range(1, len(key)):
            merged.pop(key[:size], None)
        merged[key] = leaf


def _file_names(environ: Mapping[str, str], faults: list[str]) -> list[str]:
    variable = next((name for name in ENVIRONMENT_NAMES if environ.get(name)), None)
    environment = environ[variable] if variable else "Production"
    if not re.fullmatch(r"[\w.-]+", environment):
        faults.append(
            f"{variable} = {environment!r} (environment variable): expected a name of letters, "
            "digits, dots and dashes"
        )
        return ["appsettings.json"]
    return ["appsettings.json", f"appsettings.{environment}.json"]


def from_file(path: Path, faults: list[str]) -> list[Leaf]:
    """The leaves of one JSON file; none if there is no such file."""
    try:
        leaves = read_leaves(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return []
    except JsonSyntaxError as error:
        faults.append(f"{path} line {error.line}, column {error.column}: {error.problem}")
    except UnicodeDecodeError as error:
        faults.append(f"{path}: not UTF-8 at byte {error.start}")
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
    else:
        return [Leaf(leaf.path, leaf.text, f"{path.name} line {leaf.line}") for leaf in leaves]
    return []


def from_environment(
    environ: Mapping[str, str], known: Sequence[Setting], faults: list[str]
) -> list[Leaf]:
    """The variables that name a known top-level key or lie beneath a known section.

    `__` separates levels and case does not matter; everything else in the environment is not ours.
    """
    single = {fold(each.path) for each in known if each.shape == "one" and len(each.path) == 1}
    section = {each.path[0].casefold() for each in known} - {key[0] for key in single}
    leaves: dict[tuple[str, ...], Leaf] = {}
    for name in sorted(environ):
        path = tuple(name.split("__"))
        folded = fold(path)
        if folded not in single and (len(path) == 1 or folded[0] not in section):
            continue
        if folded in leaves:
            other = leaves[folded].origin.removeprefix("environment variable ")
            faults.append(f"{':'.join(path)}: set by two environment variables, {other} and {name}")
        leaves[folded] = Leaf(path, environ[name], f"environment variable {name}")
    return list(leaves.values())


def misspelt(environ: Mapping[str, str], known: Iterable[Setting]) -> list[str]:
    """A line for each variable that is nearly one of a setting: it would be left out silently."""
    keys = {fold(each.path): each.path for each in known}
    sections = {path[0].casefold(): path[0] for path in keys.values() if path[1:]}
    squeezed = {"".join(path): "__".join(spelled) for path, spelled in keys.items()}

    def is_read(name: str) -> bool:
        head, _, rest = name.casefold().partition("__")
        return (head,) in keys if not rest else head in sections

    def meant(name: str) -> str | None:
        bare = _PREFIX.sub("", name)
        if bare != name:
            return bare if is_read(bare) else None
        head, _, rest = name.partition("__")
        near = difflib.get_close_matches(head.casefold(), sections, n=1, cutoff=ALIKE)
        if rest and near:
            return f"{sections[near[0]]}__{rest}"
        # Kubernetes names the services of a namespace so.
        is_service = environ[name].startswith("tcp://")
        return None if is_service else squeezed.get(name.casefold().replace("_", ""))

    names = [name for name in sorted(filter(str.isprintable, environ)) if not is_read(name)]
    return [
        f"environment variable {name} is not read; did you mean {other}?"
        for name in names
        if (other := meant(name)) is not None
    ]


def from_arguments(arguments: Sequence[str], faults: list[str]) -> list[Leaf]:
    """`--A:B=c`, `--A:B c`, `/A:B=c` and `/A:B c`; the last of a key counts."""
    leaves: list[Leaf] = []
    for _, said in switches(arguments):
        if isinstance(said, Leaf):
            leaves.append(said)
        else:
            faults.append(said)
    return leaves


def switches(arguments: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Leaf | str]]:
    """The words of each setting on a command line, and what they say, or why they say nothing."""
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        match = _SWITCH.fullmatch(word)
        if match is None:
            yield (word,), f"{word!r} ({COMMAND_LINE}): expected --Section:Key=value"
            continue
        key, value = match["key"], match["value"]
        path = tuple(key.split(":"))
        if value is not None:
            yield (word,), Leaf(path, value[1:], COMMAND_LINE)
        elif rest and not rest[0].startswith("--"):
            value = rest.pop(0)
            yield (word, value), Leaf(path, value, COMMAND_LINE)
        else:
            yield (word,), f"{key} ({COMMAND_LINE}): has no value; write --{key}=…"
