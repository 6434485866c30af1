"""Wait for the world to become what a test expects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

T = TypeVar("T")


async def eventually(
    probe: Callable[[], Awaitable[T]], *, within: float = 20.0, every: float = 0.05
) -> T:
    """The first truthy answer of `probe`; after `within` seconds its last answer fails the test."""
    deadline = time.monotonic() + within
    while True:
        error: BaseException | None = None
        answer: T | None = None
        try:
            answer = await probe()
        except (AssertionError, OSError, LookupError, aiohttp.ClientError) as caught:
            error = caught
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; last answer {answer!r}") from error
        await asyncio.sleep(every)
