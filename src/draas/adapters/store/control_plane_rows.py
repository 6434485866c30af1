"""The control plane's records as rows, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import BindParameter, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from draas.adapters.store.control_plane_reads import dicts
from draas.adapters.store.control_plane_tables import configurations, instances, slots
from draas.contract.feed import Change
from draas.contract.slots import SERVING
from draas.control_plane.records import Generation, Place, Record, Slot, Write, applied
from draas.model.instance import Instance, OperationInFlight

_KEY: BindParameter[str] = bindparam("key")
_RECORD_COLUMNS = (
    "port",
    "started_at",
    "stopped_at",
    "reported",
    "earlier_good_generation",
    "fence",
)


async def records(connection: AsyncConnection, ids: Collection[str] | None = None) -> list[Record]:
    """The records with these ids, or all, by id."""
    of_slots, of_instances = select(slots), select(instances).order_by(instances.c.id)
    if ids is not None:
        of_slots = of_slots.where(slots.c.instance_id.in_(ids))
        of_instances = of_instances.where(instances.c.id.in_(ids))
    taken = _by_instance(dicts(await connection.execute(of_slots)))
    return [_record(row, taken) for row in dicts(await connection.execute(of_instances))]


def _by_instance(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Slot]]:
    """Instance → role → slot."""
    found: dict[str, dict[str, Slot]] = {}
    for row in rows:
        role, instance_id = row.pop("role"), row.pop("instance_id")
        row["placement"] = {part: Place(*place) for part, place in row["placement"].items()}
        found.setdefault(instance_id, {})[role] = Slot(**row)
    return found


def _record(row: dict[str, Any], taken: dict[str, dict[str, Slot]]) -> Record:
    rest = {name: row.pop(name) for name in _RECORD_COLUMNS}
    own = dict(taken.get(row["id"], {}))
    slot = own.pop(SERVING, None)
    role, spare = next(iter(own.items()), (None, None))
    if row["operation"] is not None:
        row["operation"] = msgspec.convert(row["operation"], OperationInFlight)
    instance = Instance(**row, **applied(slot), second_slot=role)
    return Record(instance=instance, slot=slot, spare=spare, **rest)


def _slot_rows(record: Record) -> list[dict[str, Any]]:
    rows = ((SERVING, record.slot), (record.instance.second_slot, record.spare))
    return [
        msgspec.structs.asdict(slot) | {"role": role, "instance_id": record.instance.id}
        for role, slot in rows
        if slot is not None
    ]


def _row(record: Record) -> dict[str, Any]:
    row = msgspec.structs.asdict(record.instance)
    for name in (*applied(None), "second_slot"):
        del row[name]
    held = row["operation"]
    row["operation"] = msgspec.to_builtins(held) if held else None
    return row | {name: getattr(record, name) for name in _RECORD_COLUMNS}


def change_row(change: Change) -> dict[str, Any]:
    """A change without the state, which the feed adds when it tells."""
    row = msgspec.structs.asdict(change)
    del row["state"]
    return row


async def write_records(connection: AsyncConnection, writes: Sequence[Write]) -> None:
    """The writes in a few statements, however many: each one is a trip to SQLite's thread."""
    last: dict[str, Record | None] = {}
    made: dict[str, list[Generation]] = {}
    deleted: dict[str, None] = {}
    for write in writes:
        last[write.instance_id] = write.record
        if write.record is None:
            deleted[write.instance_id] = None
            made.pop(write.instance_id, None)
        elif write.generation is not None:
            made.setdefault(write.instance_id, []).append(write.generation)
    kept = {key: record for key, record in last.items() if record is not None}
    found = await connection.execute(select(instances.c.id).where(instances.c.id.in_(list(last))))
    present = {row.id for row in found} - deleted.keys()
    for statement, rows in (
        (delete(instances).where(instances.c.id == _KEY), _keys(deleted)),
        (insert(instances), [_row(kept[key]) for key in kept if key not in present]),
        (
            update(instances).where(instances.c.id == _KEY),
            [_row(kept[key]) | {_KEY.key: key} for key in kept if key in present],
        ),
        (
            insert(configurations),
            [msgspec.structs.asdict(each) for every in made.values() for each in every],
        ),
        (delete(slots).where(slots.c.instance_id == _KEY), _keys(kept)),
        (insert(slots), [row for record in kept.values() for row in _slot_rows(record)]),
    ):
        if rows:
            await connection.execute(statement, rows)


def _keys(keys: Iterable[str]) -> list[dict[str, Any]]:
    return [{_KEY.key: key} for key in keys]
