"""One process a data directory: a lock that a crash lets go of."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another process works with the same data."""


class FolderError(OSError):
    """A folder that cannot hold data."""


@contextmanager
def exclusive(directory: Path, name: str) -> Iterator[Path]:
    """Hold a lock file in a directory, made if missing; the directory's absolute path.

    A crash lets go of the lock.

    Raises:
        AlreadyRunningError: another process holds it.
        FolderError: the directory cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (directory / name).open("a+")
    except OSError as error:
        raise FolderError(
            f"folder {directory} cannot be used ({error.strerror}): see that it can be made and "
            "written, or give another one with --data or --Store"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunningError(
                f"another process works with {directory}: stop it, or give another --data; any "
                "number of them share a PostgreSQL, by --Store"
            ) from error
        yield directory.resolve()
