"""One answer for all who ask meanwhile, and never one from before the question."""

from __future__ import annotations

import asyncio

import pytest

from draas.adapters.routers.envoy_admin import SharedAnswer


async def test_all_who_wait_share_the_next_answer() -> None:
    asked: list[int] = []
    go = asyncio.Event()

    async def ask() -> int:
        asked.append(len(asked))
        await go.wait()
        return asked[-1]

    shared = SharedAnswer(ask)
    tasks = [asyncio.create_task(shared.ask()) for _ in range(3)]
    while not asked:
        await asyncio.sleep(0)
    late = [asyncio.create_task(shared.ask()) for _ in range(3)]
    await asyncio.sleep(0)
    go.set()
    # The first asked alone; who came while it did gets what was asked after that.
    assert await asyncio.gather(*tasks) == [0, 1, 1]
    assert await asyncio.gather(*late) == [1, 1, 1]
    assert asked == [0, 1]


async def test_a_failure_is_for_the_one_who_asked() -> None:
    answers = iter([ValueError("once"), "fine"])

    async def ask() -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return str(answer)

    shared = SharedAnswer(ask)
    with pytest.raises(ValueError, match="once"):
        await shared.ask()
    assert await shared.ask() == "fine"
