"""What is written as YAML is read as the same by readers of YAML 1.1 and 1.2."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from draas.instance_host.core_yaml import dump, load

TEXTS = [
    "8e12",
    "9e3",
    "1e3",
    "0o17",
    "+12e03",
    "on",
    "no",
    "0777",
    "1_000",
    "12:34",
    "<<",
    "~",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_that_look_like_values_stay_texts(text: str) -> None:
    written = dump({"id": text})
    assert load(written.encode()) == yaml.safe_load(written) == {"id": text}


def test_what_several_have_in_common_is_written_out() -> None:
    common: list[int] = []
    assert dump({"a": common, "b": common}) == "a: []\nb: []\n"


LINE_BREAKS = "\x85\u2028\u2029"
"""Breaks of YAML 1.1 alone, which PyYAML does not keep in keys."""
WRITTEN = st.text(st.characters(exclude_characters=LINE_BREAKS, exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WRITTEN,
    lambda inner: st.lists(inner) | st.dictionaries(WRITTEN, inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert load(dump(value).encode()) == value
