"""Fences and repeated calls, as the real control plane treats them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from draas.client.port import RefusedError

FINAL = ("start-failed", "hot-apply-failed", "restart-needed", "invalid-configuration")
"""Refusals that are the outcome of a call; any other means that it was not made."""
KEPT = 16


@dataclass(frozen=True)
class Call:
    """A lifecycle call as it arrives: a start and a change in place bring a document."""

    kind: str
    instance_id: str
    operation_id: str
    fence: int | None = None
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> object:
        """What has to be the same where the key is."""
        return self.kind, self.document


@dataclass
class FirstAnswers:
    """Keeps the first answer to a key, and lets a repeated call join the one under way."""

    _kept: dict[tuple[str, str], tuple[object, Any, RefusedError | None]] = field(
        default_factory=dict
    )
    _under_way: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)

    async def give(
        self, instance_id: str, key: str, fingerprint: object, act: Callable[[], Awaitable[Any]]
    ) -> Any:
        """The first answer to this key; `act` gives it.

        Raises:
            RefusedError: as the first time, or the key came with another call before.
        """
        own = (instance_id, key)
        while own in self._under_way:
            await self._under_way[own].wait()
        if own not in self._kept:
            return await self._first(own, fingerprint, act)
        known, answer, error = self._kept[own]
        if known != fingerprint:
            raise RefusedError(422, "idempotency-key-reused", f"the key {key!r} is another call's")
        if error is not None:
            raise error
        return answer

    async def _first(
        self, own: tuple[str, str], fingerprint: object, act: Callable[[], Awaitable[Any]]
    ) -> Any:
        over = self._under_way[own] = asyncio.Event()
        try:
            answer = await act()
            self._keep(own, (fingerprint, answer, None))
        except RefusedError as error:
            if error.kind in FINAL:
                self._keep(own, (fingerprint, None, error))
            raise
        finally:
            self._under_way.pop(own, None)
            over.set()
        return answer

    def _keep(self, own: tuple[str, str], kept: tuple[object, Any, RefusedError | None]) -> None:
        self._kept[own] = kept
        mine = [each for each in self._kept if each[0] == own[0]]
        for old in mine[:-KEPT]:
            del self._kept[old]

    def recover(self) -> None:
        """After a crash nothing is under way; what was answered is still known."""
        self._under_way.clear()
