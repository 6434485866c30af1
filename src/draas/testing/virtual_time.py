"""Virtual time: an event loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

OUTSIDE_SECONDS = 10.0
"""How long something outside may take, in real seconds, before it counts as a deadlock."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class _JumpingSelector(selectors.SelectSelector):
    """Never waits for a timer: what it is asked to wait is added to the time instead.

    With no timer set something outside must come, such as a thread's result; that is waited for.
    """

    elapsed = 0.0

    def __init__(self, *, outside: bool) -> None:
        super().__init__()
        self._outside = outside

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and not self._outside:
            self.elapsed += timeout
            return []
        ready = super().select(0)
        if not ready:
            if timeout is not None:
                self.elapsed += timeout
                return ready
            ready = super().select(OUTSIDE_SECONDS)
            if not ready:
                raise RuntimeError("everybody waits and nothing can happen any more: a deadlock")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop in which an hour of sleeping takes no time, and a deadlock raises RuntimeError.

    With `outside` false nothing outside of the loop, such as a thread, can wake it in time.
    """

    outside = True

    def __init__(self) -> None:
        self._jumping = _JumpingSelector(outside=self.outside)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.elapsed


class VirtualClock:
    """`draas.model.clock.Clock` on the running loop's time; ids and jitter come from the seed."""

    def __init__(self, seed: int = 0, ids: str = "id") -> None:
        self._random = Random(seed)
        self._name = ids
        self._ids = 0
        self._jumped = timedelta()

    def now(self) -> datetime:
        """2026-01-01, the loop's time and all jumps."""
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time()) + self._jumped

    def jump(self, by: timedelta) -> None:
        """Set the wall clock; monotonic time goes on as if nothing had happened."""
        self._jumped += by

    def monotonic(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def new_id(self) -> str:
        """`id-1`, `id-2`, …"""
        self._ids += 1
        return f"{self._name}-{self._ids}"

    def jitter(self) -> float:
        """Pseudo-random in [0, 1)."""
        return self._random.random()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
