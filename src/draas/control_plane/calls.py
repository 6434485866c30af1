"""Calls that hold an instance: one at a time, finished whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from draas.control_plane import transitions
from draas.control_plane.finisher import Finisher
from draas.control_plane.records import Cause, stamp
from draas.model.clock import Clock
from draas.model.instance import OperationInFlight

T = TypeVar("T")


class Calls:
    """Names each call and lets it go on to its end, though its client goes away (B-94).

    `operated` is told each call and its outcome, `freed` each instance that no call holds any more;
    `host` is where calls are carried out.
    """

    def __init__(
        self,
        finisher: Finisher,
        clock: Clock,
        *,
        operated: Callable[[str, str], None],
        freed: Callable[[str], None],
        host: str | None,
    ) -> None:
        self._finisher = finisher
        self._host = host
        self._clock = clock
        self._operated = operated
        self._freed = freed

    def begun(self, kind: str, cause: Cause) -> OperationInFlight:
        """What holds the instance while the call is under way."""
        return OperationInFlight(
            kind,
            cause.operation_id or self._clock.new_id(),
            cause.actor,
            cause.at,
            cause.fence,
            self._host,
        )

    def cause(self, mine: OperationInFlight) -> Cause:
        """Why something changes now in this call."""
        return Cause(stamp(self._clock.now()), mine.actor, mine.id, fence=mine.fence)

    async def finish(
        self, instance_id: str, mine: OperationInFlight, work: Coroutine[Any, Any, T]
    ) -> T:
        """The work's answer; the caller's end does not end it, and its end frees the instance."""

        async def released() -> T:
            result = "failure"
            try:
                done = await work
                result = "success"
                return done
            finally:
                self._operated(mine.kind, result)
                now = self.cause(mine)
                await self._finisher.settled(
                    instance_id, lambda r: transitions.released(r, mine, now)
                )
                self._freed(instance_id)

        return await asyncio.shield(self._finisher.spawn(released()))
