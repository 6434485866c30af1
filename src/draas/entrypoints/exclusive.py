"""One process a data directory: a lock that a crash lets go of."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunningError(Exception):
    """Another process works with the same data."""


@contextmanager
def exclusive(directory: Path, name: str) -> Iterator[Path]:
    """Hold a lock file in a directory, made if missing; the directory's absolute path.

    A crash lets go of the lock.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / name).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunningError(
                f"another process works with {directory}: stop it, or give another --data; any "
                "number of them share a PostgreSQL, by --Store"
            ) from error
        yield directory.resolve()
