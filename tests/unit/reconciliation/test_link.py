"""When the control plane counts as away, and since when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from draas.client.port import GarbageError, RefusedError, UnreachableError
from draas.reconciliation.link import Link, Question
from draas.telemetry.metrics import DaemonMetrics
from draas.testing import virtual_time
from draas.testing.virtual_time import VirtualClock

UNREACHABLE, GARBAGE = UnreachableError("nobody"), GarbageError("no JSON")
LIST, CHANGES, INSTANCE = Question.LIST, Question.CHANGES, Question.INSTANCE


def timed(scenario: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        virtual_time.run(scenario())

    return test


def link() -> Link:
    return Link(VirtualClock(), DaemonMetrics())


@pytest.mark.parametrize(
    ("lost", "error", "answered", "away"),
    [
        pytest.param(LIST, GARBAGE, CHANGES, True, id="the list is garbage, the feed is not"),
        pytest.param(CHANGES, GARBAGE, LIST, True, id="the feed is garbage, the list is not"),
        pytest.param(LIST, RefusedError(503, "x", "no"), CHANGES, True, id="the list is refused"),
        pytest.param(LIST, GARBAGE, LIST, False, id="the list is right again"),
        pytest.param(LIST, UNREACHABLE, CHANGES, False, id="nobody answered, and then somebody"),
        pytest.param(INSTANCE, UNREACHABLE, CHANGES, False, id="a worker was not answered"),
    ],
)
def test_who_answers_something_else_does_not_answer_this(
    lost: Question, error: Exception, answered: Question, away: bool
) -> None:
    async def scenario() -> None:
        made = link()
        made.away(lost, error)
        made.up(answered)
        assert (made.is_away, made.is_away_from(lost), bool(made.reason)) == (away, away, away)

    virtual_time.run(scenario())


@timed
async def test_it_is_away_since_the_first_answer_that_was_due() -> None:
    made = link()
    made.away(CHANGES, UNREACHABLE, for_seconds=10)
    await asyncio.sleep(5)
    made.away(LIST, GARBAGE)
    assert made.away_for() == 15
    made.up(CHANGES)
    await asyncio.sleep(1)
    assert made.away_for() == 1
    made.up(LIST)
    assert (made.away_for(), made.is_away) == (0.0, False)
