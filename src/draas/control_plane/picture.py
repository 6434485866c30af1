"""The present of every instance in memory: what lists and decisions are made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from draas.contract.problems import ProblemError
from draas.control_plane.feed import Feed
from draas.control_plane.records import Loaded, News, Record
from draas.control_plane.store import Store
from draas.model.instance import InstanceState, OperationInFlight


def absent(instance_id: str) -> ProblemError:
    """The problem of an id that nobody knows."""
    return ProblemError(
        "instance-not-found",
        f"there is no instance {instance_id[:128]!r}; GET /api/servers/instances lists them",
    )


class Picture:
    """All records as the store had them at the feed's cursor."""

    feed: Feed

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records: dict[str, Record] = {}
        self._states: dict[str, bytes] = {}
        self._held: dict[str, OperationInFlight] = {}
        self._fences: dict[str, int] = {}
        """The highest of each id that is gone, as it may be given again."""

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

    def size(self, instance_id: str) -> int:
        """How many bytes the levels of an instance have on the wire."""
        return len(self._states.get(instance_id, b""))

    def states(self) -> bytes:
        """The slim list by id, the contract's `InstanceStates`, put together from ready bytes."""
        head = msgspec.json.encode({"epoch": self.feed.epoch, "cursor": self.feed.cursor})
        states = (self._states[each] for each in sorted(self._states))
        return head[:-1] + b',"instances":[' + b",".join(states) + b"]}"

    @property
    def version(self) -> str:
        """A mark of what lists show: the cursor, and the calls under way that are no events."""
        if not self._held:
            return self.feed.cursor
        held = hashlib.sha256(msgspec.json.encode(sorted(self._held.items())))
        return f"{self.feed.cursor}+{held.hexdigest()[:16]}"

    def last_fence(self, instance_id: str) -> int:
        """The highest fence that came with a call on this id, also on an instance that is gone."""
        record = self._records.get(instance_id)
        return record.fence if record else self._fences.get(instance_id, 0)

    def show(self, instance_id: str, record: Record | None) -> None:
        """Let an instance be seen as it is now, or not any more."""
        operation = record.instance.operation if record else None
        if operation is None:
            self._held.pop(instance_id, None)
        else:
            self._held[instance_id] = operation
        if record is None:
            gone = self._records.pop(instance_id, None)
            self._states.pop(instance_id, None)
            if gone is not None and gone.fence:
                self._fences[instance_id] = gone.fence
        else:
            self._records[instance_id] = record
            self._states[instance_id] = msgspec.json.encode(as_state(record))

    def learn(self, news: News | Loaded) -> None:
        """Take in what others wrote; after everything anew, older cursors see a gap."""
        if isinstance(news, Loaded):
            self._records.clear()
            self._states.clear()
            self._held.clear()
            self._fences = dict(news.fences)
            for record in news.records:
                self.show(record.instance.id, record)
            self.feed.begin(news.epoch, news.sequence)
            return
        for instance_id, present in news.records.items():
            self.show(instance_id, present)
        self.feed.append(news.changes)


def as_state(record: Record) -> InstanceState:
    """The levels of an instance without what people call it."""
    levels = {name: getattr(record.instance, name) for name in _LEVELS}
    return InstanceState(**levels | {"labels": record.instance.labels or msgspec.UNSET})


_LEVELS = InstanceState.__struct_fields__
