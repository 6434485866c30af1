"""When markers are needed to be certain that a query is through, and when its results say so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest
from drasi import Drasi

from draas.instance_host.feed import MARKER, SUBSCRIBER_BUFFER, Feed, noting_causes
from draas.model.clock import nanoseconds
from draas.testing.virtual_time import VirtualClock

CAPACITY = 5
ALL_MARKERS = SUBSCRIBER_BUFFER + CAPACITY + 3
CHANGE = {"op": "insert", "id": "a", "labels": []}


class Queue:
    """The part of the engine that a feed pushes to: it takes everything at once."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []

    def push_change(self, source_id: str, change: dict[str, Any]) -> asyncio.Future[None]:
        self.taken.append(change)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    @property
    def markers(self) -> int:
        return self.taken.count(MARKER)


class World:
    """A feed and what it sees."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.queue = Queue()
        self.feed = Feed(cast(Drasi, self.queue), "f", self.clock)

    async def push(self) -> int:
        """Push a change a moment later; when it entered the engine."""
        self.clock.jump(timedelta(milliseconds=1))
        await self.feed.push(CHANGE)
        return nanoseconds(self.clock.now())


@pytest.fixture
async def world() -> World:
    return World()


async def test_what_was_never_fed_needs_no_markers(world: World) -> None:
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == 0


async def test_a_change_without_a_result_needs_all_markers_once(world: World) -> None:
    await world.push()
    await world.feed.settle(CAPACITY)
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == ALL_MARKERS


async def test_a_result_of_the_last_change_needs_none(world: World) -> None:
    await world.push()
    world.feed.processed(await world.push())
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == 0


async def test_a_result_of_an_earlier_change_says_nothing_of_the_last(world: World) -> None:
    first = await world.push()
    await world.push()
    world.feed.processed(first)
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == ALL_MARKERS


async def test_a_result_that_comes_meanwhile_ends_the_wait(world: World) -> None:
    sent_ns = await world.push()
    settling = asyncio.ensure_future(world.feed.settle(CAPACITY))
    await asyncio.sleep(0)
    world.feed.processed(sent_ns)
    await settling
    assert 0 < world.queue.markers < ALL_MARKERS


@pytest.mark.parametrize("seen_before", [True, False])
async def test_a_clock_that_is_set_back_makes_no_result_one_of_a_later_change(
    world: World, seen_before: bool
) -> None:
    sent_ns = await world.push()
    if seen_before:
        world.feed.processed(sent_ns)
    world.clock.jump(timedelta(hours=-1))
    await world.push()
    world.feed.processed(sent_ns)
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == ALL_MARKERS
    world.feed.processed(await world.push())
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == ALL_MARKERS


async def test_a_closed_feed_is_not_waited_for(world: World) -> None:
    await world.push()
    world.feed.close()
    await world.feed.settle(CAPACITY)
    assert world.queue.markers == 0


def _result(source_id: str, sent_ns: int | None) -> dict[str, Any]:
    return {"metadata": {"source_id": source_id}, "profiling": {"source_send_ns": sent_ns}}


@pytest.mark.parametrize(
    ("source_id", "has_cause", "markers"),
    [
        pytest.param("f", True, 0, id="of the last change"),
        pytest.param("f", False, ALL_MARKERS, id="of time alone"),
        pytest.param("g", True, ALL_MARKERS, id="of another source"),
    ],
)
async def test_what_results_tell(
    world: World, source_id: str, has_cause: bool, markers: int
) -> None:
    delivered: list[dict[str, Any]] = []
    sent_ns = await world.push()
    result = _result(source_id, sent_ns if has_cause else None)
    noting_causes([world.feed], delivered.append)(result)
    await world.feed.settle(CAPACITY)
    assert delivered == [result]
    assert world.queue.markers == markers
