"""Leaves to settings objects: every fault is found and named before anything is used."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from draas.settings.convert import allowed, convert, show
from draas.settings.faults import InvalidSettingError, SettingsError
from draas.settings.schema import Setting, describe, narrowed, pascal, sections
from draas.settings.sources import COMMAND_LINE, Leaf, fold, gather, switches

S = TypeVar("S")
_LONGEST_SHOWN = 80
_PASSWORD = re.compile(r"//[^/\s]*@")
_INDEX = re.compile(r"[0-9]{1,6}")
_Leaves = Mapping[tuple[str, ...], Leaf]


def load(
    cls: type[S],
    *,
    directory: Path | None = None,
    environ: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    also: Mapping[str, type] | None = None,
    choices: Mapping[str, Sequence[str]] | None = None,
) -> S:
    """The settings `cls` from the files in `directory`, the environment and the command line.

    Defaults are the working directory and the process's environment. `also` are the settings of
    other processes, by whose they are: they may stand in the same files and environment and are
    left to their own load, but not on this one's command line. `choices` narrows a key to values
    that only the caller knows. Raises SettingsError with all faults.
    """
    faults: list[str] = []
    known = list(narrowed(describe(cls), choices))
    others = {whose: list(describe(other)) for whose, other in (also or {}).items()}
    leaves = gather(
        directory or Path(),
        os.environ if environ is None else environ,
        arguments,
        [*known, *chain(*others.values())],
        faults,
    )
    settings = bind(cls, leaves, known, others, faults)
    if faults:
        raise SettingsError(faults)
    return settings


def bind(
    cls: type[S],
    leaves: _Leaves,
    known: Sequence[Setting],
    others: Mapping[str, Sequence[Setting]],
    faults: list[str],
) -> S:
    """The object that `leaves` make of `cls`; whatever is wrong is added to `faults`.

    With faults the object is of no use: sections with a fault hold their defaults.
    """
    binder = _Binder(leaves, known, faults)
    foreign = {whose: _by_path(settings) for whose, settings in others.items()}
    for folded, leaf in leaves.items():
        found = _find(binder.settings, folded)
        if found is not None:
            binder.take(found, leaf)
            continue
        if leaf.text is None and _is_section(folded, (*known, *chain(*others.values()))):
            continue  # `"Section": null` is an empty section, as in .NET.
        whose = next((each for each in foreign if _find(foreign[each], folded) is not None), None)
        if whose is None:
            faults.append(_unknown(leaf, known))
        elif leaf.origin == COMMAND_LINE:
            key = ":".join(leaf.path)
            faults.append(_clean(f"{key} ({COMMAND_LINE}): a setting of {whose}, not read here"))
    built: S = binder.build(cls)
    return built


def own_words(arguments: Sequence[str], cls: type, *others: type) -> list[str]:
    """A command line for several processes, without what only those with `others` know.

    What nobody knows, and what cannot be read, stays: each load says so.
    """
    own = _by_path([*describe(cls)])
    foreign = _by_path([each for other in others for each in describe(other)])

    def is_foreign(said: Leaf | str) -> bool:
        path = said.folded if isinstance(said, Leaf) else ()
        return _find(own, path) is None and _find(foreign, path) is not None

    return [word for words, said in switches(arguments) if not is_foreign(said) for word in words]


class _Binder:
    def __init__(self, leaves: _Leaves, known: Sequence[Setting], faults: list[str]) -> None:
        self.settings = _by_path(known)
        self._leaves = leaves
        self._faults = faults
        self._values: dict[tuple[str, ...], Any] = {}
        self._broken: set[tuple[str, ...]] = set()

    def take(self, setting: Setting, leaf: Leaf) -> None:
        here = fold(setting.path)
        try:
            value = _value(setting, leaf)
        except ValueError as error:
            self._faults.append(_line(leaf, setting, str(error)))
            self._broken.add(here[:-1])
            return
        if setting.shape == "one" or len(leaf.path) == len(setting.path):
            self._values[here] = value
        elif setting.shape == "list":
            self._values.setdefault(here, {})[int(leaf.path[-1])] = value
        else:
            entries = self._values.setdefault(here, dict(setting.default))
            spelled = {name.casefold(): name for name in entries}
            entries[spelled.get(leaf.path[-1].casefold(), leaf.path[-1])] = value

    def build(self, cls: type[Any], path: tuple[str, ...] = ()) -> Any:
        nested = dict(sections(cls))
        arguments: dict[str, Any] = {}
        for each in dataclasses.fields(cls):
            here = (*path, pascal(each.name).casefold())
            if each.name in nested:
                arguments[each.name] = self.build(nested[each.name], here)
            elif here in self._values and path not in self._broken:
                value = self._values[here]
                if self.settings[here].shape == "list" and isinstance(value, dict):
                    value = tuple(value[index] for index in sorted(value))
                arguments[each.name] = value
        try:
            return cls(**arguments)
        except InvalidSettingError as error:
            here = (*path, *(pascal(part).casefold() for part in error.field.split(".")))
            setting = self.settings[here]
            said = self._said(here, setting)
            self._faults.append(_line(said, setting, error.allowed, error.shown))
            return cls()

    def _said(self, here: tuple[str, ...], setting: Setting) -> Leaf:
        """What was said of a setting, a list in one: its value and where that stands."""
        if here in self._leaves:
            return self._leaves[here]
        items = [(key, leaf) for key, leaf in self._leaves.items() if key[:-1] == here]
        if setting.shape != "list" or not items:
            return Leaf(setting.path, show(setting.default), "default")
        items.sort(key=lambda item: int(item[0][-1]))
        origins = dict.fromkeys(leaf.origin for _, leaf in items)
        text = ", ".join(leaf.text or "null" for _, leaf in items)
        return Leaf(setting.path, text, "; ".join(origins))


def _by_path(settings: Sequence[Setting]) -> dict[tuple[str, ...], Setting]:
    return {fold(each.path): each for each in settings}


def _find(settings: Mapping[tuple[str, ...], Setting], path: tuple[str, ...]) -> Setting | None:
    exact, above = settings.get(path), settings.get(path[:-1])
    if exact is not None:
        return exact
    return above if above is not None and above.shape != "one" else None


def _is_section(path: tuple[str, ...], settings: Sequence[Setting]) -> bool:
    return any(fold(each.path)[: len(path)] == path for each in settings)


def _value(setting: Setting, leaf: Leaf) -> Any:
    if leaf.text is None:
        raise ValueError(f"{allowed(setting)}; leave the key out for the default")
    if setting.shape == "one":
        return convert(setting, leaf.text)
    if len(leaf.path) == len(setting.path):
        if setting.shape == "list" and leaf.text == "":
            return ()
        below = "0" if setting.shape == "list" else "NAME"
        raise ValueError(f"values beneath it, such as {setting.key}:{below}")
    if setting.shape == "list" and not _INDEX.fullmatch(leaf.path[-1]):
        raise ValueError(f"an index counted from 0, such as {setting.key}:0")
    return convert(setting, leaf.text)


def _line(leaf: Leaf, setting: Setting, expected: str, shown: str | None = None) -> str:
    value = (
        "null" if leaf.text is None else repr(_PASSWORD.sub("//***@", leaf.text)[:_LONGEST_SHOWN])
    )
    if setting.secret:
        value = "(not shown)" if shown is None else repr(shown[:_LONGEST_SHOWN])
    key = ":".join((*setting.path, *leaf.path[len(setting.path) :]))
    return _clean(f"{key} = {value} ({leaf.origin}): expected {expected}")


def _unknown(leaf: Leaf, known: Sequence[Setting]) -> str:
    """Without the value: a mistyped key may hold a secret."""
    *head, last = fold(leaf.path)
    beside = {each.path[-1].casefold(): each for each in known if [*fold(each.path[:-1])] == head}
    near = difflib.get_close_matches(last[:_LONGEST_SHOWN], beside, n=1)
    here = [each.path[-1] for each in beside.values()]
    if not head:
        here += _sections(known)
    hint = f"known here are {', '.join(here)}"
    if not beside:
        hint = f"known sections are {', '.join(_sections(known))}"
    if near:
        hint = f"did you mean {beside[near[0]].key}?"
    key = ":".join(leaf.path)[:_LONGEST_SHOWN]
    return _clean(f"{key} ({leaf.origin}): unknown key; {hint}")


def _sections(known: Sequence[Setting]) -> list[str]:
    return list(dict.fromkeys(":".join(each.path[:-1]) for each in known if each.path[1:]))


def _clean(line: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
