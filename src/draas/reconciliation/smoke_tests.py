"""Smoke tests as a file lists them: HTTP probes, commands, probes of queries (R-061)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

LONGEST_SECONDS = 600.0


class HttpTest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="http",
):
    """`GET path` of the candidate is answered with a status, and a body that holds a text."""

    name: str
    path: str = "/health"
    expect_status: int = 200
    expect_body: str | None = None
    timeout_seconds: float = 10.0


class CommandTest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="command",
):
    """A program, without a shell, ends with a code; `{host}` and `{port}` are the candidate's."""

    name: str
    command: list[str]
    expect_exit: int = 0
    timeout_seconds: float = 30.0


class QueryTest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="query",
):
    """A query has so many rows at least, or exactly these, before its time is over."""

    name: str
    query: str
    minimum_rows: int = 0
    rows: list[dict[str, Any]] | None = None
    timeout_seconds: float = 10.0


SmokeTest = HttpTest | CommandTest | QueryTest


class SmokeTestsError(Exception):
    """The file of the smoke tests cannot be used, and why."""


def read_smoke_tests(path: str) -> tuple[SmokeTest, ...]:
    """The tests of a JSON file, in order; none where no file is named.

    Raises:
        SmokeTestsError: it cannot be read or understood.
    """
    if not path:
        return ()
    try:
        found = msgspec.json.decode(Path(path).read_bytes(), type=list[SmokeTest])
    except OSError as error:
        raise SmokeTestsError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SmokeTestsError(f"{path}: {error}") from error
    for test in found:
        if isinstance(test, CommandTest) and not test.command:
            raise SmokeTestsError(f"{path}: the command of {test.name!r} is empty")
        if not 0 < test.timeout_seconds <= LONGEST_SECONDS:
            raise SmokeTestsError(
                f"{path}: timeoutSeconds of {test.name!r} is above 0 and at most 600"
            )
    return tuple(found)
