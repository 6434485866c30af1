"""All instances in memory beside the store, and the one writer through which they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from draas.contract.feed import Change
from draas.control_plane.feed import Feed
from draas.control_plane.ownership import owner
from draas.control_plane.picture import Picture
from draas.control_plane.records import Generation, Loaded, News, Record, Write, put
from draas.control_plane.store import Store
from draas.model.status import InstanceStatus
from draas.telemetry import messages
from draas.telemetry.logs import emit

BATCH = 256
HELD = "Held"
"""A call took hold of an instance or let go of it: told where there are others to be told."""


class Transition(NamedTuple):
    """What becomes of an instance: the record (`None` deletes), events, maybe a configuration.

    Without events nothing is written: only what lives in memory alone may differ.
    """

    record: Record | None
    changes: tuple[Change, ...] = ()
    generation: Generation | None = None


Decide = Callable[[Record | None], Transition]
"""Pure: from the present record to what becomes of it; a `ProblemError` refuses."""


Waiting = tuple[str, Decide, asyncio.Future[Record | None]]


class Fleet(Picture):
    """The present of every instance; changes are decided one after another and written in groups.

    A change is visible here only once it is durable, and a caller that goes away does not undo it.
    Where others write to the same store, a change is decided on what they wrote. `host` is the id
    of the host whose processes this control plane runs, `None` where it is alone.
    """

    def __init__(
        self,
        store: Store,
        *,
        keep_changes: int,
        keep_generations: int | None = None,
        host: str | None = None,
    ) -> None:
        super().__init__(store)
        self.host = host
        self.learned = 0
        self._keep = keep_changes
        self._keep_generations = keep_generations
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._look: asyncio.Task[None] | None = None
        self._told: Callable[[News | Loaded], None] = lambda _: None

    async def load(self, told: Callable[[News | Loaded], None] = lambda _: None) -> None:
        """Read everything; to be called once, before anything else.

        `told` is called with what there is, and with what others write when that is known here.
        """
        loaded = await self._store.load()
        self.feed = Feed(
            self._store, loaded.epoch, loaded.sequence, self.state, self.size, self.catch_up
        )
        super().learn(loaded)
        self._told = told
        told(loaded)

    def is_here(self, record: Record) -> bool:
        """Whether nobody else runs the instance, or is at work on it."""
        return owner(record) in (None, self.host)

    def learn(self, news: News | Loaded) -> None:
        """Take in what others wrote."""
        super().learn(news)
        self.learned += 1
        self._told(news)

    async def catch_up(self) -> None:
        """Learn what others had written when this was called; nothing where there are no others.

        Raises:
            StoreError: that cannot be found out.
        """
        if not self._store.shared:
            return
        if self._look is None:
            self._look = asyncio.create_task(self._look_once())
            self._look.add_done_callback(lambda each: each.cancelled() or each.exception())
        await asyncio.shield(self._look)

    async def _look_once(self) -> None:
        async with self._turn:
            self._look = None  # who comes now may have written after this look
            news = await self._store.news(self.feed.sequence)
            if news is not None:
                self.learn(news)

    async def change(self, instance_id: str, decide: Decide) -> Record | None:
        """Decide on the present record and make it so; the new record.

        Raises:
            ProblemError: `decide` refused; nothing changed.
            StoreError: it could not be stored; nothing changed.
        """
        done: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda each: each.cancelled() or each.exception())
        self._queue.put_nowait((instance_id, decide, done))
        return await asyncio.shield(done)

    async def write_forever(self) -> None:
        """The writer: until cancelled, in groups of what has come while the last was written."""
        while True:
            group = [await self._queue.get()]
            while len(group) < BATCH and not self._queue.empty():
                group.append(self._queue.get_nowait())
            await self._write(group)

    def end_polls(self) -> None:
        """Answer all who wait for changes now, because the control plane ends."""
        self.feed.close()

    async def drained(self) -> None:
        """Wait until everything that was asked for is written or refused."""
        await self._queue.join()

    async def _write(self, group: list[Waiting]) -> None:
        async with self._turn:
            made = self._decided(group)

            def anew(news: News | Loaded) -> list[Write]:
                nonlocal made
                self.learn(news)
                made = self._decided(group)
                return made.writes

            failure: Exception | None = None
            try:
                if made.writes:
                    await self._store.write(
                        made.writes,
                        after=self.feed.sequence,
                        keep=self._keep,
                        generations=self._keep_generations,
                        anew=anew,
                    )
            except Exception as error:
                failure = error
            else:
                for instance_id, record in made.ahead.items():
                    self.show(instance_id, record)
                changes = [change for write in made.writes for change in write.changes]
                self.feed.append(changes)
                _log(changes)
        for (_, _, done), result in zip(group, made.results, strict=True):
            _settle(done, result if failure is None or isinstance(result, Exception) else failure)
            self._queue.task_done()

    def _decided(self, group: list[Waiting]) -> _Decided:
        """What becomes of the present by each in turn; nothing is changed yet."""
        made = _Decided({}, [], [])
        sequence = self.feed.sequence
        for instance_id, decide, _ in group:
            present = made.ahead.get(instance_id, self._records.get(instance_id))
            try:
                record, changes, generation = decide(present)
            except Exception as error:
                made.results.append(error)
                continue
            record = made.ahead[instance_id] = self._fenced(instance_id, present, record)
            made.results.append(record)
            if not self._store.shared:
                changes = tuple(each for each in changes if each.kind != HELD)
            numbered = tuple(_numbered(changes, sequence))
            sequence += len(numbered)
            if numbered:
                made.writes.append(
                    Write(
                        instance_id=instance_id,
                        record=record,
                        changes=numbered,
                        generation=generation,
                    )
                )
        return made

    def _fenced(
        self, instance_id: str, before: Record | None, after: Record | None
    ) -> Record | None:
        """What becomes of it; a new one is not open to calls that the earlier one refused."""
        if before is not None or after is None:
            return after
        return put(after, fence=self.last_fence(instance_id))


class _Decided(NamedTuple):
    ahead: dict[str, Record | None]
    writes: list[Write]
    results: list[Record | Exception | None]


_LOGGED = (
    "Created",
    "Described",
    "ConfigurationChanged",
    "DesiredRunStateChanged",
    "StatusChanged",
    "Deleted",
)


def _numbered(changes: Iterable[Change], after: int) -> Iterator[Change]:
    for number, change in enumerate(changes, after + 1):
        yield msgspec.structs.replace(change, sequence=number)


def _log(changes: Iterable[Change]) -> None:
    """A line for what somebody did or a server did (B-114); looks are told by their levels."""
    for each in changes:
        if each.kind in _LOGGED:
            what = each.metadata.get("Reason") or each.operation_id or each.source
            if each.kind == "StatusChanged":
                what = f"{each.old_status} → {each.new_status}; {what}"
            failed = each.kind == "StatusChanged" and each.new_status == InstanceStatus.ERROR
            emit(
                messages.INSTANCE_FAILED if failed else messages.INSTANCE_CHANGED,
                kind=each.kind,
                instance_id=each.instance_id,
                actor=each.actor or each.source,
                detail=what,
            )


def _settle(done: asyncio.Future[Record | None], answer: Record | BaseException | None) -> None:
    if done.cancelled():
        return
    if isinstance(answer, BaseException):
        done.set_exception(answer)
    else:
        done.set_result(answer)
