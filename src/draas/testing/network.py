"""The way between two simulated processes, with all that can happen to a call on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any, TypeVar

from draas.testing.processes import Process

T = TypeVar("T")

LATENCY_SECONDS = 0.004
REQUEST_SECONDS = 30.0
REFUSED_SECONDS = 0.5


class Line:
    """Calls from one process to another; `error` makes what the caller sees of a failure.

    While `cut` nothing arrives. Of the next `lost` calls that are carried out no answer comes back:
    the caller sees a broken connection, sooner or later. The next `repeated` calls arrive twice, as
    if somebody on the way had sent them again, and the second answer counts. `slow` is added to
    each way. `failed` says whether any call ever failed on its way. `heed` is told of each call
    about an instance before it sets out.
    """

    def __init__(
        self, server: Callable[[], Process], error: Callable[[str], Exception], random: Random
    ) -> None:
        self.cut = False
        self.lost = 0
        self.repeated = 0
        self.slow = 0.0
        self.failed = False
        self._server = server
        self._error = error
        self._random = random
        self.heed: Callable[[str], None] = lambda _about: None
        self._under_way: dict[asyncio.Future[Any], None] = {}

    async def call(
        self,
        ask: Callable[[], Coroutine[Any, Any, T]],
        within: float | None = None,
        about: str = "",
    ) -> T:
        """What the other process answers.

        Raises:
            Exception: what it raised, or `error` of what happened on the way; then it may have
                been carried out, or not, or still be.

        It sets out by a step of the caller: one that freezes after the last thing that it checked
        sends its call when it thaws.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._under_way[answer] = None
        if within is not None:
            loop.call_later(within, self._fail, answer, "no answer came in time", context=_OPEN)
        loop.call_soon(self._set_out, ask, answer)
        self.heed(about)
        try:
            return await answer
        finally:
            self._under_way.pop(answer, None)

    def sever(self, why: str) -> None:
        """Whoever waits for an answer gets none."""
        for answer in list(self._under_way):
            self._fail(answer, why)

    def _set_out(
        self, ask: Callable[[], Coroutine[Any, Any, T]], answer: asyncio.Future[T]
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._latency(), self._arrive, ask, answer, context=_OPEN)

    def _arrive(self, ask: Callable[[], Coroutine[Any, Any, T]], answer: asyncio.Future[T]) -> None:
        server = self._server()
        if self.cut or server.dead:
            why = "the way there is cut" if self.cut else "the connection was refused"
            wait = REFUSED_SECONDS if self.cut else 0.0
            asyncio.get_running_loop().call_later(wait, self._fail, answer, why, context=_OPEN)
            return
        if server.frozen:
            late = "no answer came in time"
            asyncio.get_running_loop().call_later(
                REQUEST_SECONDS, self._fail, answer, late, context=_OPEN
            )
        if self.repeated > 0:
            self.repeated -= 1
            server.spawn(ask()).add_done_callback(_heard_by_nobody, context=_OPEN)
        task = server.spawn(ask())
        task.add_done_callback(lambda done: self._answer(done, answer), context=_OPEN)

    def _answer(self, done: asyncio.Task[T], answer: asyncio.Future[T]) -> None:
        error = None if done.cancelled() else done.exception()
        if self.cut:
            self._fail(answer, "the way back is cut")
        elif self.lost > 0:
            self.lost -= 1
            wait = self._random.choice((0.0, 1.0, 8.0))
            loop = asyncio.get_running_loop()
            loop.call_later(wait, self._fail, answer, "the answer was lost", context=_OPEN)
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(self._latency(), _deliver, done, error, answer, context=_OPEN)

    def _fail(self, answer: asyncio.Future[Any], why: str) -> None:
        if not answer.done():
            self.failed = True
            answer.set_exception(self._error(why))

    def _latency(self) -> float:
        return self.slow + LATENCY_SECONDS * self._random.random()


def _heard_by_nobody(done: asyncio.Task[Any]) -> None:
    if not done.cancelled():
        done.exception()


def _deliver(done: asyncio.Task[T], error: BaseException | None, answer: asyncio.Future[T]) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())


_OPEN = Context()
"""Of no process: what is on its way arrives, whatever happens to who sent it."""
