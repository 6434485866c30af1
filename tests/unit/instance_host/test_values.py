"""References to the environment, and the types of values."""

from __future__ import annotations

from typing import Any

import pytest

from draas.instance_host.errors import ApiError
from draas.instance_host.values import resolve, text_of, whole_of

ENVIRONMENT = {"HOST": "db", "EMPTY": ""}


def _variable(name: str, **default: Any) -> dict[str, Any]:
    return {"kind": "EnvironmentVariable", "name": name, **default}


RESOLVED = [
    pytest.param("${HOST}", "db", id="variable"),
    pytest.param("${HOST:-x}", "db", id="default not needed"),
    pytest.param("${NO:-a:-b}", "a:-b", id="default with a separator"),
    pytest.param("${NO:-}", "", id="empty default"),
    pytest.param("${EMPTY:-x}", "", id="an empty variable is set"),
    pytest.param("x${HOST}", "x${HOST}", id="not whole"),
    pytest.param("${HOST}\n", "${HOST}\n", id="line break after it"),
    pytest.param("${1A}", "${1A}", id="no name"),
    pytest.param(_variable("HOST"), "db", id="object"),
    pytest.param(_variable("NO", default=5), 5, id="object with default"),
    pytest.param({"a": [1, "${HOST}", None]}, {"a": [1, "db", None]}, id="nested"),
]


@pytest.mark.parametrize(("value", "expected"), RESOLVED)
def test_whole_references_are_resolved(value: Any, expected: Any) -> None:
    assert resolve(value, ENVIRONMENT, "p") == expected


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param({"a": ["${NO}"]}, "p.a[0]: environment variable NO", id="unset"),
        pytest.param({"a": _variable("NO")}, "p.a: environment variable NO", id="unset object"),
        pytest.param({"a": {"kind": "Secret", "name": "s"}}, "p.a: no secret store", id="secret"),
    ],
)
def test_what_cannot_be_resolved_is_named(value: Any, named: str) -> None:
    with pytest.raises(ApiError) as caught:
        resolve(value, ENVIRONMENT, "p")
    assert named in caught.value.message
    assert caught.value.status == 400


@pytest.mark.parametrize("value", [8080, "8080"])
def test_whole_numbers_may_come_as_digits(value: Any) -> None:
    assert whole_of(value, "port", 1, 65535) == 8080


@pytest.mark.parametrize("value", [0, 65536, True, None, "", "-1", "８", 1.5, [], "x", "9" * 5000])
def test_what_is_no_whole_number_in_bounds_is_refused(value: Any) -> None:
    with pytest.raises(ApiError, match="port"):
        whole_of(value, "port", 1, 65535)


@pytest.mark.parametrize("value", ["", None, 5, {}])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ApiError, match="id: must be a non-empty string"):
        text_of(value, "id")


def test_a_refused_text_is_not_repeated() -> None:
    with pytest.raises(ApiError) as caught:
        whole_of("secret", "port")
    assert "secret" not in caught.value.message
