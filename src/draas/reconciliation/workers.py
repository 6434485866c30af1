"""The workers: as many passes at a time as the settings allow, one an instance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta

from draas.client.port import ControlPlaneError, GarbageError, RefusedError
from draas.model.clock import Clock
from draas.model.reconciliation import Trigger
from draas.reconciliation.apply import FencedError
from draas.reconciliation.link import Link, Question
from draas.reconciliation.reconcile import Reconciler
from draas.reconciliation.request import Request
from draas.reconciliation.store import LeaseLostError, StoreError
from draas.reconciliation.workqueue import WorkQueue
from draas.telemetry import messages
from draas.telemetry.logs import emit
from draas.telemetry.metrics import DaemonMetrics

RETRY = timedelta(seconds=2)
SHOWN = 20
"""Instances that a line of the log names at most."""
CLOCK_SET_SECONDS = 1.0
"""More than this between two clocks is no slewing: somebody set the time of day."""
RETRY_AFTER_DEFECT = timedelta(seconds=30)


class Workers:
    """A pool that takes keys from the queue and makes passes over them.

    `under_way` says which instances have an operation that must not be left where it is, `owns`
    whether an instance is this daemon's to work on; `fenced` is told when another was obeyed.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue,
        reconciler: Reconciler,
        link: Link,
        clock: Clock,
        metrics: DaemonMetrics,
        count: int,
        under_way: Callable[[], Collection[str]],
        owns: Callable[[str], bool],
        fenced: Callable[[str, int], None],
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._link = link
        self._clock = clock
        self._metrics = metrics
        self._count = count
        self._under_way = under_way
        self._owns = owns
        self._fenced = fenced
        self._requests: dict[str, Request] = {}
        self._draining = False
        self._tasks: list[asyncio.Task[None]] = []
        self._passed = asyncio.Event()

    def ask(self, instance_id: str, request: Request) -> None:
        """A person wants a pass over the instance now."""
        self._requests[instance_id] = request
        self._queue.add(instance_id, request.trigger)

    def start(self) -> None:
        """Begin to work."""
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._count)]

    async def drain(self, grace: timedelta) -> None:
        """Begin nothing new and let what is under way finish; after the grace it is left.

        What is left stands in the store and is finished by the next start (B-53).
        """
        self._draining = True
        try:
            async with asyncio.timeout(grace.total_seconds()):
                while self._queue.active or self._under_way():
                    self._passed.clear()
                    await self._passed.wait()
        except TimeoutError:
            left = sorted(self._queue.worked_on.union(self._under_way()))
            shown = ", ".join(left[:SHOWN]) + (", …" if len(left) > SHOWN else "")
            emit(messages.LEFT_OPEN, count=len(left), instances=shown)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            key, trigger = await self._queue.take()
            try:
                if self._owns(key) and (not self._draining or key in self._under_way()):
                    await self._pass(key, trigger)
            finally:
                self._queue.done(key)
                self._passed.set()
                self._measure()

    async def _pass(self, key: str, trigger: Trigger) -> None:
        request = self._requests.pop(key, None) or Request(trigger)
        set_before = self._clock_is_set_to()
        self._measure()
        try:
            next_look = await self._reconciler.reconcile(key, request)
        except (RefusedError, GarbageError) as error:
            emit(messages.INSTANCE_READ_ERROR, instance_id=key, reason=error)
            next_look = self._clock.now() + RETRY
        except ControlPlaneError as error:
            self._link.away(Question.INSTANCE, error)
            next_look = self._clock.now() + RETRY
        except FencedError as error:
            emit(messages.FENCED, instance_id=key, reason=error)
            self._fenced(key, error.fence)
            return
        except LeaseLostError as error:
            emit(messages.LEASE_LOST, instance_id=key, reason=error)
            return
        except StoreError as error:
            emit(messages.STORE_ERROR, reason=error)
            next_look = self._clock.now() + RETRY
        except asyncio.CancelledError:
            emit(messages.RESTART_CANCELLED, instance_id=key)
            raise
        except Exception as error:
            emit(messages.RESTART_ERROR, error, instance_id=key)
            next_look = self._clock.now() + RETRY_AFTER_DEFECT
        if next_look is not None:
            if abs(self._clock_is_set_to() - set_before) > CLOCK_SET_SECONDS:
                next_look = self._clock.now() + RETRY  # What was said before means another time.
            self._queue.add_at(key, next_look)

    def _clock_is_set_to(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _measure(self) -> None:
        self._metrics.queue_depth.set(len(self._queue))
        self._metrics.in_flight.set(self._queue.active)
