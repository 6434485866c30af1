"""What the control plane keeps of an instance, and what one change to it writes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from draas.contract.feed import Change
from draas.contract.slots import MAIN, other
from draas.model.instance import Instance

SERVER = ""
"""The part of a server that its own address belongs to; others are `sources/ID`, `reactions/ID`."""


class Cause(NamedTuple):
    """Why something changes: when, who asked, for which operation, through what.

    `fence` grows with each daemon that takes an instance over: an older one must do no harm.
    """

    at: str
    actor: str = ""
    operation_id: str | None = None
    source: str = "ControlPlane"
    fence: int | None = None


class Place(NamedTuple):
    """An address that clients know, and the port at which the slot itself listens for it."""

    host: str
    port: int
    internal: int


class Slot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A slot that runs or is being started, and what it was started with.

    It is written before the start, so that a control plane that dies meanwhile finds it:
    `process_id` is `None` until the platform has answered. `host` and `port` are where the server
    itself listens. `placement` has the addresses of its parts behind a router, and is empty where
    clients reach the server directly. `weight` is its share of the traffic in percent. `host_id` is
    that of the control plane whose process it is, where there can be several. `mirrored`: whichever
    slot does not serve gets copies of what is pushed, as it cannot follow.
    """

    name: str
    host: str
    port: int
    digest: str
    components_digest: str
    generation: int | None
    at: str
    process_id: int | None = None
    process_started: float | None = None
    weight: int = 100
    placement: dict[str, Place] = {}
    host_id: str | None = None
    mirrored: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as the store keeps it; alone on a store, `instance.operation` is in memory only.

    `slot` is the one that serves, `spare` the other one, if there is one; what that is, candidate
    or retired, is `instance.second_slot`. `fence` is the highest that any call came with.
    """

    instance: Instance
    port: int
    slot: Slot | None = None
    spare: Slot | None = None
    started_at: str | None = None
    stopped_at: str | None = None
    reported: dict[str, str] = {}
    earlier_good_generation: int | None = None
    fence: int = 0


class Generation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A configuration as it was stored: `document` is its canonical JSON."""

    instance_id: str
    generation: int
    digest: str
    document: bytes
    at: str
    actor: str = ""
    operation_id: str | None = None

    @property
    def version(self) -> str:
        """What tells it from every other configuration under the id of its instance."""
        return version(self.generation, self.digest, self.at)


def version(generation: int, digest: str, at: str) -> str:
    """A generation with a mark of its own: a predecessor of the same id had that number too."""
    mark = hashlib.sha256(f"{digest} {at}".encode()).hexdigest()[:12]
    return f"{generation}-{mark}"


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic change: the new record (`None` deletes), its events, its new configuration."""

    instance_id: str
    record: Record | None
    changes: tuple[Change, ...]
    generation: Generation | None = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a call was answered; `fingerprint` tells the request from others with the same key."""

    key: str
    fingerprint: str
    status: int
    content_type: str
    body: bytes


class Loaded(msgspec.Struct, frozen=True):
    """All that a control plane holds in memory, as the store has it.

    `fences` are the highest of ids that are gone, and `gone` are these, as far as the kept changes
    tell.
    """

    epoch: str
    sequence: int
    records: list[Record]
    fences: dict[str, int] = {}
    gone: frozenset[str] = frozenset()


class News(msgspec.Struct, frozen=True):
    """What others wrote up to `sequence`: the changes, and how their instances are now."""

    sequence: int
    changes: list[Change]
    records: dict[str, Record | None]


class Host(msgspec.Struct, frozen=True, gc=False):
    """A control plane with the processes that it runs; `is_alive`: it was heard of lately."""

    id: str
    url: str
    is_alive: bool = True


_RECORD = frozenset(Record.__struct_fields__)


def put(record: Record, **levels: Any) -> Record:
    """The record with other levels; a `slot` brings its `applied…` levels along."""
    own = {name: levels.pop(name) for name in _RECORD & levels.keys()}
    if "slot" in own:
        levels |= applied(own["slot"])
    return msgspec.structs.replace(
        record, instance=msgspec.structs.replace(record.instance, **levels), **own
    )


def applied(slot: Slot | None) -> dict[str, Any]:
    """What a slot says of an instance's applied levels; nothing where nothing runs."""
    return {
        "applied_digest": slot.digest if slot else None,
        "applied_generation": slot.generation if slot else None,
        "applied_components_digest": slot.components_digest if slot else None,
        "applied_at": slot.at if slot else None,
    }


def slots_of(record: Record) -> tuple[Slot, ...]:
    """The slots that there are, the serving one first."""
    return tuple(each for each in (record.slot, record.spare) if each is not None)


def generations_in_use(record: Record) -> set[int]:
    """The generations that an instance may still need: what is good, what runs, and the present."""
    found = (
        record.instance.generation,
        record.instance.last_good_generation,
        record.earlier_good_generation,
        *(slot.generation for slot in slots_of(record)),
    )
    return {each for each in found if each is not None}


def address(slot: Slot) -> tuple[str, int]:
    """Where clients reach the server of a slot."""
    place = slot.placement.get(SERVER)
    return (place.host, place.port) if place else (slot.host, slot.port)


def free_name(record: Record) -> str:
    """The name of a slot that nothing runs in; without any, the first one."""
    taken = record.slot or record.spare
    return other(taken.name) if taken else MAIN


def stamp(instant: datetime) -> str:
    """An aware instant as the wire and the store write it: UTC, and in the order of time."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
