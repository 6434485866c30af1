"""Rotation and the last lines of a server's log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from draas.adapters.machine import logs
from draas.adapters.machine.redaction import Redaction

NOTHING = Redaction({})


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_bytes(b"x" * 100)
    assert logs.rotate(tmp_path, 100, 3) is False
    assert logs.rotate(tmp_path / "none", 100, 3) is False
    assert [each.name for each in tmp_path.iterdir()] == ["server.log"]


def test_backups_move_up_and_the_oldest_goes(tmp_path: Path) -> None:
    log = os.fdopen(logs.open_log(tmp_path), "wb", buffering=0)
    for letter in b"abcd":
        log.write(bytes([letter]) * 11)
        assert logs.rotate(tmp_path, 10, 2) is True
    log.write(b"after")
    log.close()
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {
        "server.log": b"after",
        "server.log.1": b"d" * 10,
        "server.log.2": b"c" * 10,
    }
    assert (tmp_path / "server.log.1").stat().st_mode & 0o777 == 0o600


def test_without_backups_the_log_is_cut(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_bytes(b"x" * 100)
    assert logs.rotate(tmp_path, 10, 0) is True
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"server.log": b""}


@pytest.mark.parametrize(
    ("content", "since", "lines"),
    [
        pytest.param(b"", 0, (), id="empty"),
        pytest.param(b"a\nb\n", 0, ("a", "b"), id="all"),
        pytest.param(b"old\nnew\n", 4, ("new",), id="this launch only"),
        pytest.param(b"new\n", 400, ("new",), id="rotated since"),
        pytest.param(b"a\nunended", 0, ("a", "unended"), id="unended line"),
        pytest.param(b"\xff\xfe\n", 0, ("\ufffd\ufffd",), id="no text"),
        pytest.param(b"y" * 5000, 0, ("y" * 1000,), id="long line"),
        pytest.param(
            b"s" * 70_000 + b"\nend\n", 0, ("end",), id="a line that begins before what is read"
        ),
        pytest.param(
            b"".join(b"%d\n" % n for n in range(100)),
            0,
            tuple(str(n) for n in range(80, 100)),
            id="at most twenty",
        ),
    ],
)
def test_last_lines(tmp_path: Path, content: bytes, since: int, lines: tuple[str, ...]) -> None:
    (tmp_path / "server.log").write_bytes(content)
    assert logs.last_lines(tmp_path, since, NOTHING) == lines


def test_no_log_has_no_lines(tmp_path: Path) -> None:
    assert logs.last_lines(tmp_path, 0, NOTHING) == ()


@pytest.mark.parametrize(
    ("document", "text", "shown"),
    [
        pytest.param({"password": "p4ss w"}, "got p4ss w!", "got ***!", id="plain"),
        pytest.param({"a": [{"apiKey": 'k"1\\'}]}, r'{"k": "k\"1\\"}', '{"k": "***"}', id="json"),
        pytest.param({"token": "a/b c"}, "?x=a%2Fb%20c", "?x=***", id="percent"),
        pytest.param({"pwd": "secret", "token": "secret2"}, "secret2", "***", id="longest first"),
        pytest.param({"secret": 123456}, "n=123456", "n=***", id="number"),
        pytest.param({"url": "pg://me:w0rd@h"}, "w0rd for h", "*** for h", id="in a URL"),
        pytest.param({"privateKey": "one\ntwo"}, "x one\ny two", "x ***\ny ***", id="lines"),
        pytest.param({}, "pg://me:w0rd@h password=x", "pg://***@h password=***", id="unknown"),
        pytest.param({"password": "${PG}"}, "no ${PG} set", "no ${PG} set", id="reference"),
        pytest.param({"password": ""}, "as it is", "as it is", id="empty"),
        pytest.param({"name": "alpha"}, "alpha", "alpha", id="no secret"),
    ],
)
def test_redaction(document: object, text: str, shown: str) -> None:
    assert Redaction(document)(text) == shown
