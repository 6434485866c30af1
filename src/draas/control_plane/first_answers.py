"""A call that is made twice is carried out once: who repeats it gets the first answer.

After draft-ietf-httpapi-idempotency-key-header: the key is the client's, within one instance.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from draas.contract.problems import ProblemError
from draas.control_plane.finisher import Finisher
from draas.control_plane.records import Answer
from draas.control_plane.store import Store, StoreError

KEPT = 16
"""How many answers are kept an instance; a client repeats what it has just asked."""


class FirstAnswers:
    """Keeps first answers durably, and lets a repeated call join the one under way."""

    def __init__(self, store: Store, finisher: Finisher) -> None:
        self._store = store
        self._finisher = finisher
        self._under_way: dict[tuple[str, str], tuple[str, asyncio.Task[Answer]]] = {}

    async def give(
        self,
        instance_id: str,
        key: str,
        fingerprint: str,
        act: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """The first answer to this key; `act` gives it.

        Raises:
            ProblemError: the key came with another request (idempotency-key-reused), or what `act`
                raises: a call that was refused may be made again.
            StoreError: it cannot be told whether the call was made already.
        """
        own = (instance_id, key)
        if own in self._under_way:
            known, task = self._under_way[own]
            _same(key, known, fingerprint)
            return await asyncio.shield(task)
        task = self._finisher.spawn(self._first(instance_id, key, fingerprint, act))
        self._under_way[own] = fingerprint, task
        task.add_done_callback(lambda _: self._under_way.pop(own, None))
        return await asyncio.shield(task)

    async def _first(
        self,
        instance_id: str,
        key: str,
        fingerprint: str,
        act: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        found = await self._store.answer(instance_id, key)
        if found is not None:
            _same(key, found.fingerprint, fingerprint)
            return found
        answer = await act()
        # The call was made, and every call observes before it acts: nothing is lost without it.
        with contextlib.suppress(StoreError):
            await self._store.keep_answer(instance_id, answer, KEPT)
        return answer


def _same(key: str, known: str, fingerprint: str) -> None:
    if known != fingerprint:
        raise ProblemError(
            "idempotency-key-reused",
            f"the key {key[:100]!r} came with another request before; give each call its own",
        )
