"""When two slots give the same rows."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.contract.drasi_server import LEADER
from draas.contract.slots import MOST_ROWS, Followed
from draas.control_plane.fleet import Fleet
from draas.control_plane.leadership import Leadership
from draas.control_plane.parity import ParityCheck, compared
from draas.control_plane.ports import Observer, Running
from draas.testing.virtual_time import run

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


class Pair:
    """A leader at change 9 with the row `new`, and a follower that gets there after some asking."""

    def __init__(self, arrives: int, then: str) -> None:
        self._asked = 0
        self._arrives = arrives
        self._then = then
        self.sealed = False

    async def status(self, running: Running) -> Followed:
        if running.slot == "main":
            return Followed(role=LEADER, sequence=9)
        self._asked += 1
        return Followed(role="follower", sequence=9 if self._asked > self._arrives else 8)

    async def seal(self, leader: Running, successor: Running | None) -> int:
        self.sealed = True
        return 9

    async def unseal(self, leader: Running) -> None:
        self.sealed = False

    async def promote(self, follower: Running, sequence: int | None) -> None:
        raise AssertionError

    async def follow(self, sealed: Running, leader: Running) -> None:
        raise AssertionError

    async def rows(self, running: Running, query: str) -> list[Any]:
        there = running.slot == "main" or self._asked > self._arrives
        return [(self._then if running.slot == "second" else "new") if there else "old"]


@pytest.mark.parametrize(
    ("arrives", "then", "same"),
    [
        pytest.param(0, "new", True, id="there at once"),
        pytest.param(5, "new", True, id="there after a while"),
        pytest.param(5, "other", False, id="there, with other rows"),
        pytest.param(10_000, "new", None, id="not there: nobody knows"),
    ],
)
def test_rows_count_once_the_follower_is_at_the_same_change(
    arrives: int, then: str, same: bool | None
) -> None:
    pair = Pair(arrives, then)
    main, second = (Running("a", name, 1, 1.0, "h", 1) for name in ("main", "second"))
    unused = cast(Fleet, None), cast(Leadership, None), cast(Observer, None)
    check = ParityCheck(unused[0], pair, *unused[1:])
    (found,) = run(check._settled(main, second, ["q"]))
    assert (found.same, pair.sealed) == (same, False)
