"""The change feed: durable sequences, a window in memory, and a long poll that wakes at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from draas.contract.feed import MOST, Change, Changes, cursor, parse_cursor
from draas.contract.problems import ProblemError
from draas.control_plane.store import Store
from draas.model.instance import InstanceState

WINDOW = 4096
LONGEST_WAIT = 60.0
LARGEST_ANSWER = 8 * 1024 * 1024
"""How many bytes the states in one answer may have: what nobody can read stops who follows."""


class Feed:
    """What has happened, in order; the newest `WINDOW` changes are answered from memory.

    `state` tells how an instance is now, `size` how many bytes that takes. `catch_up` learns what
    others wrote to the same store.
    """

    def __init__(
        self,
        store: Store,
        epoch: str,
        sequence: int,
        state: Callable[[str], InstanceState | None],
        size: Callable[[str], int],
        catch_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._state = state
        self._size = size
        self._catch_up = catch_up
        self._recent: deque[Change] = deque(maxlen=WINDOW)
        self._more = asyncio.Event()
        self._closed = False
        self.epoch = epoch
        self.sequence = sequence

    @property
    def cursor(self) -> str:
        """The cursor after the newest change."""
        return cursor(self.epoch, self.sequence)

    def begin(self, epoch: str, sequence: int) -> None:
        """Go on from elsewhere: who has an older cursor missed something."""
        self._recent.clear()
        self.epoch, self.sequence = epoch, sequence
        self._wake()

    def append(self, changes: Sequence[Change]) -> None:
        """Publish changes that are durable, and wake all that wait."""
        if not changes:
            return
        self._recent.extend(changes)
        self.sequence = changes[-1].sequence
        self._wake()

    def _wake(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    def close(self) -> None:
        """Answer all that wait, so that a shutdown does not wait for them."""
        self._closed = True
        self._more.set()

    async def after(self, text: str | None, wait: float, limit: int = MOST) -> Changes:
        """The changes after a cursor, at the latest `wait` seconds from now.

        Raises:
            ProblemError: the cursor is none (invalid-parameter).
            StoreError: it is ahead, and whether others wrote so much cannot be found out.
        """
        if text is None:
            return Changes(self.epoch, self.cursor, False, [])
        try:
            epoch, sequence = parse_cursor(text)
        except ValueError as error:
            raise ProblemError(
                "invalid-parameter", str(error), parameter="after", value=text[:200]
            ) from None
        if epoch == self.epoch and sequence > self.sequence:
            await self._catch_up()
        if epoch != self.epoch or sequence > self.sequence:
            return self._gap()
        if sequence == self.sequence and wait > 0 and not self._closed:
            await self._wait(min(wait, LONGEST_WAIT))
        found = await self._read(sequence, min(limit, MOST))
        if found is None:
            return self._gap()
        found = found[: self._fitting(found)]
        last = found[-1].sequence if found else sequence
        now = [msgspec.structs.replace(each, state=self._state(each.instance_id)) for each in found]
        return Changes(self.epoch, cursor(self.epoch, last), False, now, last < self.sequence)

    def _fitting(self, found: Sequence[Change]) -> int:
        """How many of the changes one answer may hold: always one, so that who follows gets on."""
        size = 0
        for number, each in enumerate(found):
            size += self._size(each.instance_id)
            if size > LARGEST_ANSWER and number:
                return number
        return len(found)

    async def _wait(self, seconds: float) -> None:
        more = self._more
        try:
            async with asyncio.timeout(seconds):
                await more.wait()
        except TimeoutError:
            return

    def _gap(self) -> Changes:
        return Changes(self.epoch, self.cursor, True, [])

    async def _read(self, sequence: int, limit: int) -> list[Change] | None:
        """At most `limit` changes after `sequence`; `None` if some of them are forgotten."""
        if sequence == self.sequence:
            return []
        if self._recent and self._recent[0].sequence <= sequence + 1:
            skip = sequence + 1 - self._recent[0].sequence
            return [self._recent[n] for n in range(skip, min(skip + limit, len(self._recent)))]
        found = await self._store.changes(sequence, limit)
        return found if found and found[0].sequence == sequence + 1 else None
