"""What a file calls an instance: how that differs from what it is called, and what changes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from draas.cli.manifests import Manifest
from draas.decide.compare import Difference, Kind
from draas.model.json_value import join


class Described(NamedTuple):
    """The differences, and the merge patch that takes them away; both empty if there are none."""

    differences: tuple[Difference, ...]
    patch: dict[str, Any]


def described(manifest: Manifest, present: dict[str, Any]) -> Described:
    """Name, description and labels as the file has them; labels that it leaves out go.

    What it says nothing of stays.
    """
    patch: dict[str, Any] = {
        name: manifest.texts[name]
        for name in ("name", "description")
        if manifest.texts.get(name, present.get(name)) != present.get(name)
    }
    found = [_difference(name, present.get(name), text) for name, text in patch.items()]
    labels = present.get("labels") or {}
    changed = dict(_changed(labels, labels if manifest.labels is None else manifest.labels))
    found += [_difference(join("labels", key), labels.get(key), to) for key, to in changed.items()]
    return Described(tuple(found), patch | ({"labels": changed} if changed else {}))


def _changed(present: dict[str, str], wanted: dict[str, str]) -> Iterator[tuple[str, str | None]]:
    for key in sorted(present.keys() | wanted.keys()):
        if present.get(key) != wanted.get(key):
            yield key, wanted.get(key)


def _difference(path: str, actual: Any, desired: Any) -> Difference:
    kind: Kind = "added" if actual is None else "removed" if desired is None else "changed"
    return Difference(path, actual, desired, kind)
