"""The queue: one worker a key, duplicates folded, due times, ageing."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from draas.model.reconciliation import Trigger
from draas.reconciliation.workqueue import WorkQueue
from draas.testing import virtual_time
from draas.testing.virtual_time import VirtualClock


def test_a_due_time_comes_though_the_clock_is_set_back() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        queue = WorkQueue(clock)
        queue.add_at("a", clock.now() + timedelta(seconds=30))
        clock.jump(timedelta(hours=-1))
        async with asyncio.timeout(31):
            assert (await queue.take())[0] == "a"

    virtual_time.run(scenario())


def test_duplicates_are_folded_and_the_more_urgent_trigger_wins() -> None:
    async def scenario() -> None:
        queue = WorkQueue(VirtualClock())
        queue.add("a", Trigger.RESYNC)
        queue.add("a", Trigger.CHANGE)
        assert await queue.take() == ("a", Trigger.CHANGE)
        queue.done("a")
        assert len(queue) == 0

    virtual_time.run(scenario())


def test_a_key_under_work_runs_again_after_it_and_not_beside_it() -> None:
    async def scenario() -> None:
        queue = WorkQueue(VirtualClock())
        queue.add("a", Trigger.CHANGE)
        await queue.take()
        queue.add("a", Trigger.CHANGE)
        queue.add("b", Trigger.RESYNC)
        assert (await queue.take())[0] == "b"
        queue.done("a")
        assert (await queue.take())[0] == "a"

    virtual_time.run(scenario())


def test_changes_come_before_resync_and_resync_still_comes() -> None:
    async def scenario() -> None:
        queue = WorkQueue(VirtualClock())
        queue.add("old", Trigger.RESYNC)
        taken = []
        for n in range(8):
            queue.add(f"new-{n}", Trigger.CHANGE)
            queue.add(f"newer-{n}", Trigger.CHANGE)
            key, _ = await queue.take()
            queue.done(key)
            taken.append(key)
        assert taken[0] == "new-0"
        assert "old" in taken

    virtual_time.run(scenario())


def test_due_times_wait_outside_of_workers_and_the_latest_word_counts() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        queue = WorkQueue(clock)
        start = clock.now()
        queue.add_at("a", start + timedelta(seconds=10))
        queue.add_at("a", start + timedelta(seconds=30))
        queue.add_at("b", start + timedelta(seconds=20))
        keys = []
        for _ in range(2):
            key, _ = await queue.take()
            keys.append((key, (clock.now() - start).total_seconds()))
            queue.done(key)
        assert [key for key, _ in keys] == ["b", "a"]
        assert keys[0][1] >= 20 and keys[1][1] >= 30

    virtual_time.run(scenario())


def test_a_sleeping_taker_is_woken() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        queue = WorkQueue(clock)
        queue.add_at("late", clock.now() + timedelta(hours=1))
        taker = asyncio.create_task(queue.take())
        await asyncio.sleep(5)
        queue.add("now", Trigger.CHANGE)
        assert (await taker)[0] == "now"
        assert clock.monotonic() < 10

    virtual_time.run(scenario())


KEYS = st.sampled_from("abcd")


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done"]), KEYS), max_size=60))
def test_no_key_is_lost_or_worked_on_twice_at_once(steps: list[tuple[str, str]]) -> None:
    async def scenario() -> None:
        queue = WorkQueue(VirtualClock())
        wanted: set[str] = set()
        active: set[str] = set()
        for step, key in steps:
            if step == "add":
                queue.add(key, Trigger.CHANGE)
                wanted.add(key)
            elif step == "done" and key in active:
                active.discard(key)
                queue.done(key)
            elif step == "take" and wanted - active:
                taken, _ = await queue.take()
                assert taken not in active
                wanted.discard(taken)
                active.add(taken)
        for key in active:
            queue.done(key)
        left = set()
        while len(queue):
            left.add((await queue.take())[0])
        assert left == wanted

    virtual_time.run(scenario())
