"""Documents become plain JSON values, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from draas.instance_host.parsing import parse_json, parse_yaml, shallow
from draas.model.faults import Fault
from draas.model.json_value import MAX_DEPTH, copied

PARSED = [
    pytest.param("a: 1\nb: [x, true, null]", {"a": 1, "b": ["x", True, None]}, id="plain"),
    pytest.param("a: 2024-01-31", {"a": "2024-01-31"}, id="a date stays text"),
    pytest.param("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}, id="anchor"),
    pytest.param("1: x", {"1": "x"}, id="a number as key"),
]


@pytest.mark.parametrize(("text", "expected"), PARSED)
def test_yaml_is_plain(text: str, expected: Any) -> None:
    assert parse_yaml(text.encode()) == expected


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: [", id="truncated"),
        pytest.param("a: .nan", id="not a number"),
        pytest.param("a: .inf", id="infinite"),
        pytest.param("a: 1.0e+400", id="too large"),
        pytest.param("a: !!binary aGk=", id="bytes"),
        pytest.param("a: !!python/object/apply:os.getcwd []", id="code"),
        pytest.param("a: &x [*x]", id="cycle"),
        pytest.param(BOMB, id="anchors that explode"),
        pytest.param("[" * 5000, id="nesting"),
    ],
)
def test_other_yaml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_yaml(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"a": NaN}', id="not a number"),
        pytest.param(b'{"a": 1e400}', id="too large"),
        pytest.param(b'{"a": -1.5E+309}', id="too small"),
        pytest.param(b'{"a": ', id="truncated"),
        pytest.param(b"\xff\xfe\x00", id="not text"),
        pytest.param(b"[" * 100_000, id="nesting"),
        pytest.param(rb'{"a": "\uD800"}', id="half of a character, escaped"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="half of a character in bytes"),
    ],
)
def test_other_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text)


@pytest.mark.parametrize("text", [rb'"\ud83d\ude00"', '"\U0001f600"'.encode()])
def test_characters_beyond_the_first_plane_are_kept(text: bytes) -> None:
    assert parse_json(text) == "\U0001f600"


def _nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [0, value] if kind == "lists" else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["lists", "objects"])
def test_what_nests_deeper_than_a_configuration_may_is_refused(kind: str) -> None:
    deepest = _nested(MAX_DEPTH + 1, kind)
    assert shallow(deepest) is deepest
    faults: list[Fault] = []
    for value, levels in ((deepest, 0), ([deepest], 1)):
        copied(value, "", faults)
        assert len(faults) == levels
    with pytest.raises(ValueError, match=f"deeper than {MAX_DEPTH}"):
        shallow([deepest])
