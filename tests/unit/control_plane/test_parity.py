"""When two slots give the same rows."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.contract.drasi_server import FOLLOWER, LEADER
from draas.contract.slots import MOST_ROWS, Followed, QueryParity
from draas.control_plane.fleet import Fleet
from draas.control_plane.leadership import Leadership
from draas.control_plane.parity import ParityCheck, difference, told
from draas.control_plane.ports import Observer, Running
from draas.testing.virtual_time import run


def compared(one: list[Any], other: list[Any]) -> QueryParity:
    return told("q", *difference(one, other))


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
    found = compared(one, other)
    assert (found.same, found.missing, found.extra) == (not missing and not extra, missing, extra)


@given(ROWS, ROWS, st.randoms())
def test_only_the_rows_themselves_matter(one: list[Any], other: list[Any], random: Any) -> None:
    shuffled = random.sample(one, len(one))
    assert compared(one, shuffled).same is True
    assert compared(one, other).same == compared(other, one).same


def test_a_large_difference_is_told_in_part() -> None:
    found = compared([{"n": n} for n in range(100)], [])
    assert len(found.missing) == MOST_ROWS
    assert found.reason.startswith("100 rows")


class Pair:
    """A leader at change 9 with the row `new`, and a follower that is through with it or never."""

    def __init__(self, then: str, comes: bool) -> None:
        self._then = then
        self._comes = comes
        self._there = False
        self.sealed = False

    async def status(self, running: Running) -> Followed:
        return Followed(role=LEADER if running.slot == "main" else FOLLOWER, sequence=9)

    async def seal(self, leader: Running, successor: Running | None) -> int:
        assert leader.slot == "main"
        self.sealed = True
        return 9

    async def settle(self, follower: Running, sequence: int) -> None:
        assert (self.sealed, follower.slot, sequence) == (True, "second", 9)
        if not self._comes:
            await asyncio.sleep(3600)
        self._there = True

    async def unseal(self, leader: Running) -> None:
        self.sealed = False

    async def promote(self, follower: Running, sequence: int | None) -> None:
        raise AssertionError

    async def follow(self, sealed: Running, leader: Running) -> None:
        raise AssertionError

    async def rows(self, running: Running, query: str) -> list[Any]:
        if running.slot == "main":
            return ["new"]
        return [self._then if self._there else "old"]


class Apart(Pair):
    """Two that take changes on their own; the looks at each are given, the last one stays."""

    def __init__(self, first: list[list[str]], second: list[list[str]]) -> None:
        super().__init__("", True)
        self._looks = {"main": first, "second": second}

    async def rows(self, running: Running, query: str) -> list[Any]:
        looks = self._looks[running.slot]
        return looks.pop(0) if len(looks) > 1 else looks[0]


COUNTS = [[str(number)] for number in range(40)]


@pytest.mark.parametrize(
    ("first", "second", "same", "missing"),
    [
        pytest.param([["a"]], [[], ["a"]], True, [], id="what is in flight is no difference"),
        pytest.param([["a", "b"]], [["a"]], False, ["b"], id="what never comes is one"),
        pytest.param(
            [["a"], ["a", "b"], ["a", "b", "c"]],
            [[], ["a"], ["a", "b"]],
            True,
            [],
            id="what was there at first has come, though more goes on to come",
        ),
        pytest.param(COUNTS[1:], [*COUNTS], None, [], id="a count that is always behind: unknown"),
    ],
)
def test_without_a_leader_rows_count_that_differ_for_long(
    first: list[list[str]], second: list[list[str]], same: bool | None, missing: list[str]
) -> None:
    main, spare = (Running("a", name, 1, 1.0, "h", 1) for name in ("main", "second"))
    unused = cast(Fleet, None), cast(Leadership, None), cast(Observer, None)
    check = ParityCheck(unused[0], Apart([*first], [*second]), *unused[1:])
    found = run(check._watched(main, spare, "q"))
    assert (found.same, found.missing, found.extra) == (same, missing, [])
    assert found.same is True or found.reason


@pytest.mark.parametrize(
    ("then", "comes", "same"),
    [
        pytest.param("new", True, True, id="the same rows at the same change"),
        pytest.param("other", True, False, id="other rows"),
        pytest.param("new", False, None, id="it does not get there: nobody knows"),
    ],
)
def test_rows_count_once_the_follower_is_through_with_the_same_change(
    then: str, comes: bool, same: bool | None
) -> None:
    pair = Pair(then, comes)
    main, second = (Running("a", name, 1, 1.0, "h", 1) for name in ("main", "second"))
    unused = cast(Fleet, None), cast(Leadership, None), cast(Observer, None)
    check = ParityCheck(unused[0], pair, *unused[1:])
    (found,) = run(check._settled(main, second, ["q"]))
    assert (found.same, pair.sealed) == (same, False)
