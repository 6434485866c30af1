"""What the exit codes of `draas` mean."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """The exit codes, as `draas --help` and docs/cli.md list them."""

    OK = 0
    FAILED = 1
    DRIFT = 2
    USAGE = 2
    UNKNOWN = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNREACHABLE = 6


HELP = (
    "Exit codes: 0 done; 1 failed; 2 drift found, or wrong usage or settings; 3 unknown, "
    "something could not be read; 4 no such instance; 5 conflict or busy, try again; "
    "6 nobody answers."
)


class CommandError(Exception):
    """A command that cannot be done: one line that says why and the way out, and its code."""

    def __init__(self, message: str, code: Code = Code.FAILED) -> None:
        super().__init__(message)
        self.code = code
