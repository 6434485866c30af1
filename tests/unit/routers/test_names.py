"""Names for routers: one to one, short, and of harmless characters only."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from draas.adapters.routers.names import encoded

TEXTS = st.text(max_size=130)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("i1", "i1"),
        ("i1/sources/orders", "i1_2Fsources_2Forders"),
        ("a.b:c", "a_2Eb_3Ac"),
        ("_", "_5F"),
        ("%2E", "_252E"),
        ("~", "_7E"),
        ("ä", "_C3_A4"),
    ],
)
def test_a_name_can_be_read(text: str, name: str) -> None:
    assert encoded(text) == name


@given(TEXTS)
@example("😀" * 128)
@example("\ud800")
def test_a_name_is_harmless(text: str) -> None:
    assert re.fullmatch("[A-Za-z0-9_-]{0,100}", encoded(text))


@given(TEXTS, TEXTS)
@example("a" * 101, "a" * 102)
@example("a" * 60 + "_x" + "0" * 36, "a" * 200)
@example("a.b", "a:b")
def test_two_texts_have_two_names(one: str, other: str) -> None:
    assert (encoded(one) == encoded(other)) == (one == other)
