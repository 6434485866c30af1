"""When two slots give the same rows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.contract.slots import MOST_ROWS
from draas.control_plane.parity import compared

ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)), max_size=6)


@pytest.mark.parametrize(
    ("one", "other", "missing", "extra"),
    [
        pytest.param([], [], [], [], id="none"),
        pytest.param([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}], [], [], id="in any order"),
        pytest.param([{"a": 1, "b": 2}], [{"b": 2, "a": 1}], [], [], id="names in any order"),
        pytest.param([{"a": 1}], [{"a": 2}], [{"a": 1}], [{"a": 2}], id="another value"),
        pytest.param([{"a": 1}, {"a": 1}], [{"a": 1}], [{"a": 1}], [], id="as often"),
    ],
)
def test_rows(one: list[Any], other: list[Any], missing: list[Any], extra: list[Any]) -> None:
    found = compared("q", one, other)
    assert (found.same, found.missing, found.extra) == (not missing and not extra, missing, extra)


@given(ROWS, ROWS, st.randoms())
def test_only_the_rows_themselves_matter(one: list[Any], other: list[Any], random: Any) -> None:
    shuffled = random.sample(one, len(one))
    assert compared("q", one, shuffled).same is True
    assert compared("q", one, other).same == compared("q", other, one).same


def test_a_large_difference_is_told_in_part() -> None:
    found = compared("q", [{"n": n} for n in range(100)], [])
    assert len(found.missing) == MOST_ROWS
    assert found.reason.startswith("100 rows")
