"""All instances in memory beside the store, and the one writer through which they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from draas.contract.feed import Change
from draas.contract.problems import ProblemError
from draas.control_plane.feed import Feed
from draas.control_plane.records import Generation, Record, Write, put
from draas.control_plane.store import Store
from draas.model.instance import InstanceState
from draas.telemetry import messages
from draas.telemetry.logs import emit

BATCH = 256


class Transition(NamedTuple):
    """What becomes of an instance: the record (`None` deletes), events, maybe a configuration.

    Without events nothing is written: only what lives in memory alone may differ.
    """

    record: Record | None
    changes: tuple[Change, ...] = ()
    generation: Generation | None = None


Decide = Callable[[Record | None], Transition]
"""Pure: from the present record to what becomes of it; a `ProblemError` refuses."""


def absent(instance_id: str) -> ProblemError:
    """The problem of an id that nobody knows."""
    return ProblemError(
        "instance-not-found",
        f"there is no instance {instance_id[:128]!r}; GET /api/servers/instances lists them",
    )


class Fleet:
    """The present of every instance; changes are decided one after another and written in groups.

    A change is visible here only once it is durable, and a caller that goes away does not undo it.
    """

    def __init__(self, store: Store, *, keep_changes: int) -> None:
        self._store = store
        self._keep = keep_changes
        self._records: dict[str, Record] = {}
        self._states: dict[str, bytes] = {}
        self._fences: dict[str, int] = {}
        """The highest of each id that is gone, as it may be given again."""
        self._queue: asyncio.Queue[tuple[str, Decide, asyncio.Future[Record | None]]] = (
            asyncio.Queue()
        )
        self.feed: Feed

    async def load(self) -> None:
        """Read everything; to be called once, before anything else."""
        loaded = await self._store.load()
        self.feed = Feed(self._store, loaded.epoch, loaded.sequence, self.state)
        self._fences = dict(loaded.fences)
        for record in loaded.records:
            self._show(record.instance.id, record)

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records.values()))

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._records

    def __len__(self) -> int:
        return len(self._records)

    def get(self, instance_id: str) -> Record:
        """The record of an instance.

        Raises:
            ProblemError: there is no such instance (instance-not-found).
        """
        record = self._records.get(instance_id)
        if record is None:
            raise absent(instance_id)
        return record

    def state(self, instance_id: str) -> InstanceState | None:
        """The levels of an instance, `None` if there is no such instance."""
        record = self._records.get(instance_id)
        return as_state(record) if record else None

    def states(self) -> bytes:
        """The slim list as the contract's `InstanceStates`, put together from ready bytes."""
        head = msgspec.json.encode({"epoch": self.feed.epoch, "cursor": self.feed.cursor})
        return head[:-1] + b',"instances":[' + b",".join(self._states.values()) + b"]}"

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

    async def _write(self, group: list[tuple[str, Decide, asyncio.Future[Record | None]]]) -> None:
        ahead: dict[str, Record | None] = {}
        writes: list[Write] = []
        decided: list[tuple[asyncio.Future[Record | None], Record | None]] = []
        sequence = self.feed.sequence
        for instance_id, decide, done in group:
            present = ahead.get(instance_id, self._records.get(instance_id))
            try:
                record, changes, generation = decide(present)
            except Exception as error:
                _settle(done, error)
                continue
            record = ahead[instance_id] = self._fenced(instance_id, present, record)
            decided.append((done, record))
            numbered = tuple(_numbered(changes, sequence))
            sequence += len(numbered)
            if numbered:
                writes.append(
                    Write(
                        instance_id=instance_id,
                        record=record,
                        changes=numbered,
                        generation=generation,
                    )
                )
        try:
            if writes:
                await self._store.write(writes, after=self.feed.sequence, keep=self._keep)
        except Exception as error:
            for done, _ in decided:
                _settle(done, error)
        else:
            for instance_id, record in ahead.items():
                self._show(instance_id, record)
            made = [change for write in writes for change in write.changes]
            self.feed.append(made)
            _log(made)
            for done, record in decided:
                _settle(done, record)
        finally:
            for _ in group:
                self._queue.task_done()

    def _fenced(
        self, instance_id: str, before: Record | None, after: Record | None
    ) -> Record | None:
        """What becomes of it; a new one is not open to calls that the earlier one refused."""
        if before is not None or after is None:
            return after
        earlier = self._records.get(instance_id)
        return put(after, fence=earlier.fence if earlier else self._fences.get(instance_id, 0))

    def _show(self, instance_id: str, record: Record | None) -> None:
        if record is None:
            gone = self._records.pop(instance_id, None)
            self._states.pop(instance_id, None)
            if gone is not None and gone.fence:
                self._fences[instance_id] = gone.fence
        else:
            self._records[instance_id] = record
            self._states[instance_id] = msgspec.json.encode(as_state(record))


def as_state(record: Record) -> InstanceState:
    """The levels of an instance without what people call it."""
    return InstanceState(**{name: getattr(record.instance, name) for name in _LEVELS})


_LEVELS = InstanceState.__struct_fields__
_LOGGED = ("Created", "ConfigurationChanged", "DesiredRunStateChanged", "StatusChanged", "Deleted")


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
            emit(
                messages.INSTANCE_CHANGED,
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
