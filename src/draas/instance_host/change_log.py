"""The order of an instance's changes: numbered by the host that leads, and kept for a while.

Numbers alone do not say that two hosts have the same past: one that was restarted, or that led
although another did, counts on by itself. So each taking of the lead begins a term with an id of
its own, and a follower may go on after (term, number) only where the leader has that point too.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from itertools import islice
from typing import Any

from draas.contract.drasi_server import CHANGES_GONE
from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError

COUNT_LIMIT = 100_000
SIZE_LIMIT = 32 * 1024 * 1024
FORGET: Change = {"op": "forget", "id": ""}
"""In place of a change: the source was removed, and with it all its elements."""

Terms = list[tuple[str, int]]
"""Ids of terms, each with the last number before it."""


class ChangeLog:
    """Numbers changes; keeps the newest as lines of JSON from `open` on, within bounds."""

    def __init__(
        self, term: str, count_limit: int = COUNT_LIMIT, size_limit: int = SIZE_LIMIT
    ) -> None:
        self.sequence = 0
        self.terms: Terms = [(term, 0)]
        self._count_limit = count_limit
        self._size_limit = size_limit
        self._is_open = False
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()

    @property
    def term(self) -> str:
        """The term of the last number.

        A later one without a number of its own is the same past, and may be known to nobody else.
        """
        begun = [known for known, start in self.terms if start < self.sequence]
        return begun[-1] if begun else self.terms[0][0]

    def open(self) -> None:
        """Keep lines from now on: before anybody follows, nobody needs them."""
        self._is_open = True

    def begin_term(self, term: str) -> None:
        """This host takes the lead after the last number."""
        past = [(known, start) for known, start in self.terms if start <= self.sequence]
        self.terms = [*past, (term, self.sequence)]

    def adopt(self, sequence: int, terms: Terms) -> None:
        """Go on from a leader's number; what was kept belongs to another past."""
        self.sequence, self.terms = sequence, terms
        self._lines.clear()
        self._size = 0

    def record(self, source_id: str, change: Change) -> None:
        """Give the next number to a change that was applied."""
        self.sequence += 1
        if self._is_open:
            line = line_of({"sequence": self.sequence, "source": source_id, "change": change})
            self._lines.append(line)
            self._size += len(line)
            while len(self._lines) > self._count_limit or self._size > self._size_limit:
                self._size -= len(self._lines.popleft())
        self._news.set()

    def check(self, after: int, term: str | None) -> None:
        """`ApiError` (409) unless a host that is at `after` in `term` can go on from here."""
        if term is not None:
            ids = [known for known, _ in self.terms]
            if term not in ids:
                raise _gone(f"the leader does not know the past of change {after}")
            ends = [*(start for _, start in self.terms[1:]), self.sequence]
            if after > ends[ids.index(term)]:
                raise _gone(f"change {after} is not the leader's: it went on before that")
        if not self.sequence - len(self._lines) <= after <= self.sequence:
            raise _gone(f"the leader no longer has the changes after {after}")

    def after(self, position: int, most: int = 1000) -> list[bytes]:
        """Up to `most` lines after a number; `ApiError` (409) if the first is gone."""
        self.check(position, None)
        missing = self.sequence - position
        newest = islice(reversed(self._lines), max(0, missing - most), missing)
        return list(newest)[::-1]

    async def news(self, within: float) -> None:
        """Return when another change was recorded, or after `within` seconds."""
        self._news.clear()
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return


def _gone(message: str) -> ApiError:
    return ApiError(CHANGES_GONE, message)


def line_of(document: Any) -> bytes:
    """One document as one line of JSON."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
