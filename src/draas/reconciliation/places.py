"""How many instances are disrupted at a time: places for operations, apart from workers (B-43)."""

from __future__ import annotations

from collections.abc import Callable

from draas.model.reconciliation import Budget
from draas.reconciliation.request import Request


class Places:
    """At most `limit` operations at a time; who comes too late is called in the order of arrival.

    An operation keeps its place while its instance is stopped, starts or is verified, also when no
    worker stands by, and gives it back while it waits for a retry or is held: a few instances that
    fail do not delay the others. `call` is told who may come, with what was asked for then.
    """

    def __init__(self, limit: int, call: Callable[[str, Request], None]) -> None:
        self.limit = limit
        self._call = call
        self.taken: set[str] = set()
        self._waiting: dict[str, Request] = {}

    def budget(self, instance_id: str) -> Budget:
        """What is taken by others."""
        return Budget(self.limit, len(self.taken - {instance_id}))

    def take(self, instance_id: str) -> bool:
        """Take a place, or keep the one that the instance has; whether it has one."""
        if len(self.taken) < self.limit:
            self.taken.add(instance_id)
        if instance_id in self.taken:
            self._waiting.pop(instance_id, None)
            return True
        return False

    def wait(self, instance_id: str, request: Request) -> None:
        """Have the instance called as soon as there is a place, which is then its own."""
        self._waiting.setdefault(instance_id, request)

    def release(self, instance_id: str) -> None:
        """Give a place back, or stop waiting for one."""
        self.taken.discard(instance_id)
        self._waiting.pop(instance_id, None)
        while self._waiting and len(self.taken) < self.limit:
            called = next(iter(self._waiting))
            self.taken.add(called)
            self._call(called, self._waiting.pop(called))

    def waiting(self, most: int) -> list[str]:
        """Up to so many of those that wait, the longest first."""
        return list(self._waiting)[:most]
