"""Marks in a server's environment and command line, by which a later control plane finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil

from draas.adapters.machine.server_process import kill_all, start_time
from draas.adapters.platforms import launch_file
from draas.adapters.platforms.launch_file import safe_name
from draas.control_plane.ports import Launch

INSTANCE_ID, SLOT, HOST, PORT, LAUNCH = (
    "DRAAS_INSTANCE_ID",
    "DRAAS_SLOT",
    "DRAAS_HOST",
    "DRAAS_PORT",
    "DRAAS_LAUNCH",
)


@dataclass(frozen=True, slots=True)
class Marked:
    """A running server as its marks tell; `launch` is the fingerprint of what it was given."""

    process_id: int
    started: float
    host: str
    port: int
    launch: str


def fingerprint(document: bytes) -> str:
    """What tells one launch document from another."""
    return sha256(document).hexdigest()


def environment(launch: Launch, document: bytes) -> dict[str, str]:
    """The environment of a server: ours with the marks.

    Without RUST_LOG, which would win over the document's log level, and without colours in logs.
    """
    kept = {name: value for name, value in os.environ.items() if name != "RUST_LOG"}
    return kept | {
        "NO_COLOR": "1",
        INSTANCE_ID: safe_name(launch.instance_id),
        SLOT: safe_name(launch.slot),
        HOST: launch.host,
        PORT: str(launch.port),
        LAUNCH: fingerprint(document),
    }


def launch_of(process_id: int) -> str | None:
    """The fingerprint that a process carries, or `None` where it cannot be read."""
    return _environment(process_id).get(LAUNCH)


def find_marked(data: Path) -> dict[Path, Marked]:
    """All servers that run from launch files below `data`, by their slot's directory.

    Only processes of this user that lead a session count: what a server started itself carries
    the marks as well.
    """
    found: dict[Path, Marked] = {}
    for process_id in psutil.pids():
        marked = _marked(process_id, data)
        if marked is not None:
            directory, server = marked
            if directory not in found or found[directory].started < server.started:
                found[directory] = server
    return found


def kill_group(leader: int, directory: Path) -> None:
    """Kill what is left of a server's group after its end, told from strangers by the marks."""

    def ours(process_id: int) -> bool:
        try:
            if os.getpgid(process_id) != leader:
                return False
        except OSError:
            return False
        marks = _environment(process_id)
        return (marks.get(INSTANCE_ID), marks.get(SLOT)) == (directory.parent.name, directory.name)

    kill_all([each for each in psutil.pids() if ours(each)], ours)


def _marked(process_id: int, data: Path) -> tuple[Path, Marked] | None:
    instances = data / "instances"
    try:
        if os.stat(f"/proc/{process_id}").st_uid != os.getuid():  # noqa: PTH116  hot: every process
            return None
        paths = [Path(each) for each in _command_line(process_id) if each.startswith(str(data))]
        if not paths or os.getsid(process_id) != process_id:
            return None
    except OSError:
        return None
    marks = _environment(process_id)
    directory = instances / marks.get(INSTANCE_ID, "") / marks.get(SLOT, "")
    started = start_time(process_id)
    port = marks.get(PORT, "")
    if directory / launch_file.FILE_NAME not in paths or started is None or not port.isdigit():
        return None
    return directory, Marked(
        process_id, started, marks.get(HOST, ""), int(port), marks.get(LAUNCH, "")
    )


def _command_line(process_id: int) -> Iterator[str]:
    raw = Path(f"/proc/{process_id}/cmdline").read_bytes()
    return (part.decode(errors="surrogateescape") for part in raw.split(b"\0"))


def _environment(process_id: int) -> dict[str, str]:
    try:
        return psutil.Process(process_id).environ()
    except (psutil.Error, OSError, ValueError):
        return {}
