"""The order of changes: numbers, what is kept of them, and whose past is whose."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from draas.instance_host.change_log import ChangeLog
from draas.instance_host.errors import ApiError


def _change(element_id: str, text: str = "") -> dict[str, Any]:
    properties = {"text": text}
    return {"op": "update", "id": element_id, "labels": [], "properties": properties}


def _log(count: int, **limits: int) -> ChangeLog:
    log = ChangeLog("first", **limits)
    log.open()
    for number in range(count):
        log.record("orders", _change(f"o{number}"))
    return log


def _numbers(lines: list[bytes]) -> list[int]:
    return [json.loads(line)["sequence"] for line in lines]


def test_changes_are_numbered_from_one_and_read_back_in_order() -> None:
    log = _log(5)
    assert log.sequence == 5
    assert _numbers(log.after(0)) == [1, 2, 3, 4, 5]
    assert _numbers(log.after(2, most=2)) == [3, 4]
    assert log.after(5) == []
    assert json.loads(log.after(4)[0]) == {
        "sequence": 5,
        "source": "orders",
        "change": _change("o4"),
    }


def test_before_anybody_follows_changes_are_numbered_and_not_kept() -> None:
    log = ChangeLog("first")
    log.record("orders", _change("a"))
    log.open()
    log.record("orders", _change("b"))
    assert _numbers(log.after(1)) == [2]
    with pytest.raises(ApiError, match="no longer has the changes after 0"):
        log.after(0)


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param({"count_limit": 10}, id="by count"),
        pytest.param({"size_limit": 1000}, id="by size"),
    ],
)
def test_what_is_above_a_bound_is_gone_and_said_to_be(limits: dict[str, int]) -> None:
    log = _log(100, **limits)
    with pytest.raises(ApiError, match="no longer has the changes after 50") as caught:
        log.after(50)
    assert (caught.value.code, caught.value.status) == ("CHANGES_GONE", 409)
    assert _numbers(log.after(95)) == [96, 97, 98, 99, 100]


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(1, 20), st.integers(1, 2000))
def test_what_can_be_read_is_always_whole(sizes: list[int], count: int, size: int) -> None:
    log = ChangeLog("first", count_limit=count, size_limit=size)
    log.open()
    for number, length in enumerate(sizes):
        log.record("orders", _change(f"o{number}", "x" * length))
    for after in range(len(sizes) + 1):
        try:
            found = _numbers(log.after(after))
        except ApiError:
            continue
        assert found == list(range(after + 1, len(sizes) + 1))


PASTS = [
    pytest.param("first", 0, None, id="from the beginning"),
    pytest.param("first", 3, None, id="where the second term began"),
    pytest.param("second", 5, None, id="where the leader is"),
    pytest.param("second", 2, None, id="it was connected, and had not got as far"),
    pytest.param("first", 4, "change 4 is not the leader's", id="led on after it was followed"),
    pytest.param("second", 6, "change 6 is not the leader's", id="further than the leader"),
    pytest.param("other", 1, "does not know the past of change 1", id="of another past"),
]


@pytest.mark.parametrize(("term", "after", "refusal"), PASTS)
def test_who_may_go_on_from_here(term: str, after: int, refusal: str | None) -> None:
    log = _log(3)
    log.begin_term("second")
    for element_id in ("x", "y"):
        log.record("orders", _change(element_id))
    if refusal is None:
        log.check(after, term)
        return
    with pytest.raises(ApiError, match=refusal):
        log.check(after, term)


@pytest.mark.parametrize(
    ("sequence", "terms", "term"),
    [
        pytest.param(0, [("first", 0)], "first", id="nothing yet"),
        pytest.param(3, [("first", 0), ("second", 2)], "second", id="the newest"),
        pytest.param(2, [("first", 0), ("second", 2)], "first", id="a term without a change"),
        pytest.param(2, [("first", 0), ("second", 2), ("third", 2)], "first", id="two of them"),
        pytest.param(2, [("first", 0), ("second", 7)], "first", id="not as far as the leader"),
        pytest.param(0, [("first", 0), ("second", 0)], "first", id="no change in any"),
    ],
)
def test_the_term_is_that_of_the_last_change(
    sequence: int, terms: list[tuple[str, int]], term: str
) -> None:
    """A term without a change is the same past, and another host may not have heard of it."""
    log = _log(0)
    log.adopt(sequence, terms)
    assert log.term == term


def test_a_lead_that_was_taken_by_force_leaves_out_terms_that_began_later() -> None:
    log = _log(2)
    log.adopt(2, [("first", 0), ("later", 7)])
    log.begin_term("forced")
    assert log.terms == [("first", 0), ("forced", 2)]
    with pytest.raises(ApiError, match="is not the leader's"):
        log.check(3, "first")


async def test_news_come_at_once_or_not_at_all() -> None:
    log = _log(0)
    waiting = [asyncio.create_task(log.news(60)) for _ in range(2)]
    await asyncio.sleep(0)
    log.record("orders", _change("a"))
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    await log.news(0.01)
