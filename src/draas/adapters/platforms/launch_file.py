"""Where a slot lives on disk, and the file that a server is started with (B-98, B-102, B-105)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from draas.control_plane.ports import Launch
from draas.model.configuration import for_launch

FILE_NAME = "config.json"

_LONGEST_NAME = 100


def safe_name(identity: str) -> str:
    """A file name for any text: one to one, never empty, hidden, `..` or with a separator.

    Letters, digits, `-`, `_` and inner `.` stay as they are, the rest is percent-encoded; what
    gets too long for a file system is cut and ends in `~` and a hash.
    """
    name = quote(identity, safe="", errors="surrogatepass").replace("~", "%7E")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > _LONGEST_NAME:
        digest = sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{name[:60]}~{digest[:32]}"
    return name or "%"


def instance_directory(data: Path, instance_id: str) -> Path:
    """The directory of an instance, which holds one for each of its slots."""
    return data / "instances" / safe_name(instance_id)


def slot_directory(data: Path, instance_id: str, slot: str) -> Path:
    """The directory of a slot: the working directory of its server."""
    return instance_directory(data, instance_id) / safe_name(slot)


def kept_data(directory: Path) -> Path:
    """Where the data of an instance is kept between a stop and the next start, in any slot."""
    return directory.parent / "data.ndjson"


def restorable(directory: Path) -> Path | None:
    """A copy of the kept data for one start, which uses it up; `None` if nothing is kept.

    What is kept goes only once the server is up: a start that fails must not lose it.
    """
    copy = directory / "restore.ndjson"
    copy.unlink(missing_ok=True)
    try:
        os.link(kept_data(directory), copy)
    except FileNotFoundError:
        return None
    return copy


def launch_document(launch: Launch) -> bytes:
    """What the server of a launch reads: JSON, which is valid YAML; the same for equal launches.

    `id` is always the instance's: by it a server is told from a stranger on its port.
    """
    document: Mapping[str, Any] = {
        **for_launch(launch.configuration, instance_id=launch.instance_id),
        "id": launch.instance_id,
        "host": launch.host,
        "port": launch.port,
    }
    return json.dumps(document, sort_keys=True, indent=1, allow_nan=False).encode()


def write_launch_file(directory: Path, document: bytes) -> Path:
    """Write the document into the slot's directory, whole or not at all; only its owner may read.

    Raises `OSError` when the directory cannot be made or written.
    """
    for each in (directory.parent.parent, directory.parent, directory):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
        each.chmod(0o700)
    path, fresh = directory / FILE_NAME, directory / f"{FILE_NAME}.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(document)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path
