"""What `draas apply` reads: instances as they should be, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.cli.exit_codes import Code, CommandError
from draas.cli.files import documents
from draas.model.instance import Instance

RUN_STATES = ("Running", "Stopped")
_TEXTS = ("id", "name", "description", "platformType")
_KNOWN = (*_TEXTS, "labels", "desiredRunState", "configuration")
_READ_ONLY = frozenset(Instance.__struct_encode_fields__) - set(_KNOWN)
"""What `draas get -o yaml` prints besides; it may stay in the file and means nothing."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One instance as a file says; what the file does not say is `None`.

    Without a run state it runs once it is created, and one that is there stays as its user left it.
    """

    id: str
    configuration: dict[str, Any]
    run_state: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    labels: dict[str, str] | None = None

    @property
    def creation(self) -> dict[str, Any]:
        """The body that creates it: stopped, so that nobody else starts it before we do."""
        return {
            "name": self.id,
            **self.texts,
            "id": self.id,
            "labels": self.labels or {},
            "configuration": self.configuration,
        }


def read(file: str) -> list[Manifest]:
    """All instances of a file: documents, or lists of them.

    Raises:
        CommandError: the file cannot be read, or something in it is no instance.
    """
    found: list[Any] = []
    for each in documents(file):
        found += each if isinstance(each, list) else [each]
    if not found:
        raise CommandError(f"{file} holds no instance", Code.USAGE)
    manifests = [manifest(each, f"{file}, instance {n}") for n, each in enumerate(found, 1)]
    ids = [each.id for each in manifests]
    for instance_id in ids:
        if ids.count(instance_id) > 1:
            raise CommandError(f"{file}: {instance_id} is there more than once", Code.USAGE)
    return manifests


def manifest(value: Any, where: str) -> Manifest:
    """One instance.

    Raises:
        CommandError: it is none; `where` says which.
    """
    if not isinstance(value, dict):
        raise CommandError(f"{where}: must be an object with id and configuration", Code.USAGE)
    for name in value:
        if name not in _KNOWN and name not in _READ_ONLY:
            raise _fault(where, f"{name!r} is unknown; known are {', '.join(_KNOWN)}")
    for name in _TEXTS:
        if value.get(name) is not None and not isinstance(value[name], str):
            raise _fault(where, f"{name} is {value[name]!r}; it must be text: put it in quotes")
    if not value.get("id"):
        raise _fault(where, "id is missing")
    where = f"{where} ({value['id']})"
    if not isinstance(value.get("configuration"), dict):
        listed = "status" in value and "configuration" not in value
        way_out = "; `draas get --configurations` prints it too" if listed else ""
        raise _fault(where, f"configuration must be an object{way_out}")
    run_state = value.get("desiredRunState")
    if run_state not in (None, *RUN_STATES):
        raise _fault(where, f"desiredRunState is {run_state!r}; it is one of Running, Stopped")
    labels = value.get("labels")
    if labels is not None and not (
        isinstance(labels, dict) and all(isinstance(each, str) for each in labels.values())
    ):
        raise _fault(where, "labels must be names with texts: put numbers in quotes")
    return Manifest(
        id=value["id"],
        configuration=value["configuration"],
        run_state=run_state,
        texts={name: value[name] for name in _TEXTS[1:] if value.get(name) is not None},
        labels=labels,
    )


def _fault(where: str, problem: str) -> CommandError:
    return CommandError(f"{where}: {problem}", Code.USAGE)
