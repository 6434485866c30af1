"""The configuration file: read once, and rewritten after changes through the API.

JSON is tried first, because it is what machines write and needs no further import; anything else
is YAML. A rewrite keeps the file's format and mode, drops comments and writes defaults.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from draas.contract.drasi_server import PERSISTENCE_FAILED, ROOT_DEFAULTS
from draas.instance_host.documents import Document, check_root
from draas.instance_host.errors import ApiError, StartError
from draas.instance_host.parsing import parse_json, parse_yaml


class ConfigFile:
    """A file and the document that was read from it."""

    def __init__(self, path: Path, document: Document, is_json: bool) -> None:
        self.path = path
        self.document = document
        self._is_json = is_json

    @classmethod
    def read(cls, path: Path) -> ConfigFile:
        """The checked file.

        `StartError` when it is missing (drasi-server would create it and serve an empty
        configuration to everybody), empty, unreadable, malformed or has an unknown key.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise StartError(
                f"--config {path}: {error.strerror}; give the path of an existing file"
            ) from error
        try:
            document, is_json = _parse(text)
            if document is None:
                raise StartError(f"--config {path}: it is empty; write {{}} for an empty server")
            return cls(path, check_root(document), is_json)
        except ValueError as error:
            raise StartError(f"--config {path}: neither JSON nor YAML: {error}") from error
        except ApiError as error:
            raise StartError(f"--config {path}: {error.message}") from error

    @property
    def read_only(self) -> bool:
        """Whether changes through the API are refused: nobody may write the file."""
        try:
            mode = self.path.stat().st_mode
        except OSError:
            return True
        writable = mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
        return not writable or not os.access(self.path, os.W_OK)

    def save(self, settings: dict[str, Any], components: dict[str, list[Document]]) -> None:
        """Replace the file atomically with its root, `settings` and the components.

        Where the path is a link, what it leads to is replaced.
        `ApiError` (500) when it cannot be written: the change itself is already in force.
        """
        document = {**ROOT_DEFAULTS, **self.document, **settings, **components}
        path = Path(os.path.realpath(self.path))
        temporary = path.with_name(f".{path.name}.new")
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(self._format(document))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise ApiError(
                PERSISTENCE_FAILED,
                "The change is in force but could not be written to the configuration file",
                error.strerror,
            ) from error

    def _format(self, document: Document) -> bytes:
        if self._is_json:
            return json.dumps(document, indent=2).encode() + b"\n"
        from draas.instance_host.core_yaml import dump  # noqa: PLC0415 - only where it is YAML

        return dump(document).encode()


def _parse(text: bytes) -> tuple[Any, bool]:
    try:
        return parse_json(text), True
    except ValueError:
        return parse_yaml(text), False
