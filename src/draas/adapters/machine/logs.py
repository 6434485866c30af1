"""What a server writes: an appended file, rotated by size, and its last lines (B-99)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from draas.adapters.machine.redaction import Redaction

FILE_NAME: Final = "server.log"

_TAIL_BYTES = 64 * 1024
_LINES = 20
_LONGEST_LINE = 1000


def open_log(directory: Path) -> int:
    """A file descriptor of the slot's log, to be inherited by its server.

    Every write goes to the file's end, also after a rotation has cut it. A file and not a pipe:
    it fills no buffer and outlives whoever started the server.
    """
    return os.open(directory / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def size(directory: Path) -> int:
    """How many bytes the slot's log holds; 0 without one."""
    try:
        return (directory / FILE_NAME).stat().st_size
    except FileNotFoundError:
        return 0


def rotate(directory: Path, max_bytes: int, backups: int) -> bool:
    """Move a log above `max_bytes` to `server.log.1`, older ones up, and cut it; whether it did.

    The server keeps its descriptor, so the file is copied and truncated: lines written between
    the two are lost. A backup holds the last `max_bytes` only, which bounds the space that a
    slot can take.
    """
    log = directory / FILE_NAME
    if size(directory) <= max_bytes:
        return False
    if backups:
        for number in range(backups - 1, 0, -1):
            older = _backup(directory, number)
            if older.exists():
                older.replace(_backup(directory, number + 1))
        _copy_end(log, _backup(directory, 1), max_bytes)
    os.truncate(log, 0)
    return True


def last_lines(directory: Path, since: int, redaction: Redaction) -> tuple[str, ...]:
    """The last lines of the log, at most 20, without secrets and cut at 1,000 characters.

    `since` is where the present launch began in the file, in bytes; after a rotation it means
    nothing and the whole file counts. A log that cannot be read has no lines.
    """
    try:
        with (directory / FILE_NAME).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            begin = since if since <= end else 0
            start = max(begin, end - _TAIL_BYTES)
            file.seek(start)
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ()
    if start > begin:
        text = text.partition("\n")[2]
    return tuple(line[:_LONGEST_LINE] for line in redaction(text).splitlines()[-_LINES:])


def _backup(directory: Path, number: int) -> Path:
    return directory / f"{FILE_NAME}.{number}"


def _copy_end(source: Path, target: Path, max_bytes: int) -> None:
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as reader, os.fdopen(descriptor, "wb") as writer:
        left = max_bytes
        reader.seek(max(0, reader.seek(0, os.SEEK_END) - max_bytes))
        while left > 0 and (chunk := reader.read(min(left, 1024 * 1024))):
            writer.write(chunk)
            left -= len(chunk)
