"""Simulated processes: tasks that belong together, and that stop or die together at any step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

from draas.testing.virtual_time import VirtualTimeLoop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_HOME: ContextVar[Process | None] = ContextVar("home", default=None)


class Process:
    """All that a coroutine and what it spawns does, step by step of the event loop.

    A frozen process does nothing; thawed, it goes on with what it was told meanwhile. A dead one
    never goes on: not a line of it is run, as after `kill -9`, until `bury` lets its tasks end.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps = 0
        self.dead = False
        self.frozen = False
        self._dies_at: int | None = None
        self._freezes_at: int | None = None
        self._last_words: Callable[[], None] | None = None
        self._held: list[_Step] = []

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine in this process."""
        home = copy_context()
        home.run(_HOME.set, self)
        return asyncio.create_task(coroutine, context=home)

    def kill(self) -> None:
        """Nothing of it runs any more."""
        self.dead = True

    @property
    def doomed(self) -> bool:
        """Whether it is dead or about to die."""
        return self.dead or self._dies_at is not None

    def kill_after(self, steps: int, then: Callable[[], None]) -> None:
        """Kill it when it has made so many more steps, and call `then`."""
        self._dies_at, self._last_words = self.steps + steps, then

    def spare(self) -> bool:
        """Take back the order to die; whether it still lived with one."""
        waited, self._dies_at = self._dies_at is not None, None
        return waited

    def freeze(self, after: int = 0) -> None:
        """Run nothing of it until `thaw`, once it has made so many more steps."""
        self._freezes_at = self.steps + after
        self.frozen = after == 0

    def thaw(self) -> None:
        """Go on, first with all that was due meanwhile."""
        self._freezes_at, self.frozen = None, False
        if not self.dead:
            self._release()

    def bury(self) -> None:
        """Let the tasks of a dead process run again, so that they can be ended with the world."""
        self.dead = self.frozen = False
        self._dies_at = self._freezes_at = None
        self._release()

    def take(self, step: _Step) -> None:
        """Make a step, or keep it while nothing may run."""
        if self.dead or self.frozen:
            self._held.append(step)
            return
        self.steps += 1
        step.run()
        if self._freezes_at is not None and self.steps >= self._freezes_at:
            self.frozen = True
        if self._dies_at is not None and self.steps >= self._dies_at:
            self._dies_at = None
            self.kill()
            if self._last_words is not None:
                self._last_words()

    def _release(self) -> None:
        loop, held, self._held = asyncio.get_running_loop(), self._held, []
        for step in held:
            loop.call_soon(step, context=_NOWHERE)


class _Step:
    """A callback of the loop that waits for its process to be able to run it."""

    __slots__ = ("_arguments", "_callback", "_context", "_process", "handle")

    def __init__(
        self,
        process: Process,
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
        context: Context | None,
    ) -> None:
        self._process = process
        self._callback = callback
        self._arguments = arguments
        self._context = copy_context() if context is None else context
        self.handle: asyncio.Handle | None = None

    def __call__(self) -> None:
        self._process.take(self)

    def run(self) -> None:
        """The callback, unless it was cancelled while it waited."""
        handle, self.handle = self.handle, None
        if handle is None or not handle.cancelled():
            self._context.run(self._callback, *self._arguments)


class ProcessLoop(VirtualTimeLoop):
    """Virtual time for `Process`es; nothing outside of the simulation is waited for."""

    outside = False

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """As in any loop; a step of a process is taken by that."""
        process = _HOME.get() if context is None else context.get(_HOME)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        step = _Step(process, callback, args, context)
        step.handle = super().call_soon(step, context=_NOWHERE)
        return step.handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As in any loop; a step of a process is taken by that."""
        process = _HOME.get() if context is None else context.get(_HOME)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        step = _Step(process, callback, args, context)
        handle = super().call_at(when, step, context=_NOWHERE)
        step.handle = handle
        return handle


_NOWHERE = Context()
