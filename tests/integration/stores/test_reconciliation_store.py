"""The contract of the daemon's store, for the SQL adapter and for the fake alike."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from draas.adapters.store import audit_chain
from draas.adapters.store.engine import DatabaseError, SchemaError, sqlite_url
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.decide.assign import SHARDS, shard_of
from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Outcome, Phase, Quarantine
from draas.reconciliation.store import (
    AuditQuery,
    Inheritance,
    LeaseLostError,
    ReconciliationStore,
    StoreError,
)
from draas.testing.memory_store import MemoryReconciliationStore
from tests.unit.decide.test_plan import NOW
from tests.unit.decide.test_plan import OPEN_OPERATION as UNFENCED_OPERATION

OPEN_OPERATION = replace(UNFENCED_OPERATION, fence=1)


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[ReconciliationStore]:
    opened: ReconciliationStore
    if request.param == "sqlite":
        opened = await SqlReconciliationStore.open(sqlite_url(tmp_path / "daemon.sqlite"))
    elif request.param == "postgresql":
        opened = await SqlReconciliationStore.open(request.getfixturevalue("postgres_url"))
    else:
        opened = MemoryReconciliationStore()
    yield opened
    await opened.close()


async def everything(store: ReconciliationStore) -> Inheritance:
    return await store.take_over(dict.fromkeys(range(SHARDS), 1))


def entry(number: int, instance_id: str = "a", outcome: str = "succeeded") -> AuditEntry:
    return AuditEntry(
        instance_id=instance_id,
        timestamp=f"2026-01-{number:02}T00:00:00.000000Z",
        action=f"action {number}",
        outcome=outcome,
        differences=({"path": "port", "actual": 1, "desired": 2, "kind": "changed"},),
    )


async def test_what_is_remembered_comes_back_as_it_was(store: ReconciliationStore) -> None:
    memory = Memory(
        instance_id="a",
        failures=2,
        not_before=NOW,
        quarantines=(Quarantine("d2", "why", NOW, "op"),),
        applied_document='{"port": 1}',
    )
    await store.remember(memory, fence=1)
    assert await everything(store) == Inheritance(memories=(memory,))


async def test_a_write_whose_answer_was_lost_is_repeated_without_telling_a_story_twice(
    store: ReconciliationStore,
) -> None:
    began = replace(entry(1, outcome="started"), operation_id="op")
    ended = replace(entry(2, outcome="succeeded"), operation_id="op")
    other = replace(entry(3, outcome="failed"), operation_id="op")
    for _ in range(2):
        await store.save_operation(OPEN_OPERATION, began)
    for end in (ended, other):
        await store.finish(OPEN_OPERATION, Memory(instance_id="a"), end)
    told = await store.audit(AuditQuery(operation_id="op"))
    assert [each.outcome for each in told] == ["succeeded", "started"]
    assert (await store.verify_audit()).intact


async def test_an_open_operation_comes_back_until_it_is_finished(
    store: ReconciliationStore,
) -> None:
    await store.save_operation(OPEN_OPERATION, entry(1))
    assert await everything(store) == Inheritance(operations=(OPEN_OPERATION,))
    await store.finish(OPEN_OPERATION, Memory(instance_id="a", repairs=1), entry(2))
    left = await everything(store)
    assert (left.operations, left.memories[0].repairs) == ((), 1)
    assert [each.action for each in await store.audit(AuditQuery())] == ["action 2", "action 1"]


async def test_the_forgotten_is_gone_and_its_audit_stays(store: ReconciliationStore) -> None:
    await store.save_operation(OPEN_OPERATION, entry(1))
    await store.remember(Memory(instance_id="a"), fence=1)
    await store.forget("a", entry(2, outcome="gone"), fence=1)
    assert await everything(store) == Inheritance()
    assert len(await store.audit(AuditQuery(instance_id="a"))) == 2


FENCED: dict[str, Callable[[ReconciliationStore, int], Awaitable[None]]] = {
    "save": lambda store, fence: store.save_operation(replace(OPEN_OPERATION, fence=fence)),
    "finish": lambda store, fence: store.finish(
        replace(OPEN_OPERATION, fence=fence), Memory(instance_id="a"), entry(3)
    ),
    "remember": lambda store, fence: store.remember(
        Memory(instance_id="a", failures=9), entry(3), fence=fence
    ),
    "forget": lambda store, fence: store.forget("a", entry(3, outcome="gone"), fence=fence),
}


@pytest.mark.parametrize("write", FENCED.values(), ids=FENCED.keys())
async def test_who_was_taken_over_writes_nothing(
    store: ReconciliationStore, write: Callable[[ReconciliationStore, int], Awaitable[None]]
) -> None:
    await store.save_operation(replace(OPEN_OPERATION, fence=5), entry(1))
    left = await store.take_over({shard_of("a"): 7})
    with pytest.raises(LeaseLostError):
        await write(store, 6)
    assert await store.take_over({shard_of("a"): 7}) == left
    assert len(await store.audit(AuditQuery())) == 1
    await write(store, 7)


async def test_shards_are_taken_over_all_or_none(store: ReconciliationStore) -> None:
    await store.take_over({1: 5, 2: 5})
    with pytest.raises(LeaseLostError):
        await store.take_over({1: 9, 2: 4})
    await store.take_over({1: 6})


async def test_only_what_is_in_the_shards_is_inherited(store: ReconciliationStore) -> None:
    names = [f"instance-{number}" for number in range(20)]
    for name in names:
        await store.remember(Memory(instance_id=name), fence=1)
    shards = {shard_of(name) for name in names[:5]}
    left = await store.take_over(dict.fromkeys(shards, 2))
    inherited = {memory.instance_id for memory in left.memories}
    assert inherited == {name for name in names if shard_of(name) in shards}


async def test_the_steps_of_an_operation_are_kept_in_their_order(
    store: ReconciliationStore,
) -> None:
    stopping = replace(OPEN_OPERATION, phase=Phase.STOPPING, fence=3)
    over = replace(stopping, phase=Phase.FINISHED, outcome=Outcome.FAILED, error="no port")
    await store.save_operation(OPEN_OPERATION)
    await store.save_operation(stopping)
    await store.finish(over, Memory(instance_id="a"))
    steps = await store.operation_events(OPEN_OPERATION.id)
    assert [each.phase for each in steps] == ["starting", "stopping", "finished"]
    assert (steps[1].fence, steps[2].outcome, steps[2].error) == (3, Outcome.FAILED, "no port")
    await store.expire_audit(NOW + timedelta(days=1))
    assert await store.operation_events(OPEN_OPERATION.id) == []


async def test_audit_queries(store: ReconciliationStore) -> None:
    for number in range(1, 8):
        who = "a" if number % 2 else "b"
        await store.remember(Memory(instance_id=who), entry(number, who), fence=1)

    async def found(query: AuditQuery) -> list[int]:
        return [each.sequence for each in await store.audit(query)]

    assert await found(AuditQuery(limit=3)) == [7, 6, 5]
    assert await found(AuditQuery(limit=3, before=5)) == [4, 3, 2]
    assert await found(AuditQuery(instance_id="b")) == [6, 4, 2]
    assert await found(AuditQuery(since="2026-01-06")) == [7, 6]
    assert await found(AuditQuery(since="2026-01-03", until="2026-01-05")) == [4, 3]
    assert await found(AuditQuery(outcome="failed")) == []
    assert (await store.audit(AuditQuery(limit=1)))[0].differences == entry(7).differences


async def test_the_chain_holds_over_retention(store: ReconciliationStore) -> None:
    for number in range(1, 8):
        await store.remember(Memory(instance_id="a"), entry(number), fence=1)
    assert (await store.verify_audit()).checked == 7
    assert await store.expire_audit(datetime(2026, 1, 4, tzinfo=UTC)) == 3
    verdict = await store.verify_audit()
    assert (verdict.intact, verdict.checked) == (True, 4)
    await store.remember(Memory(instance_id="a"), entry(8), fence=1)
    assert (await store.verify_audit()).intact


async def test_a_long_chain_is_followed_while_it_grows_and_its_begin_expires(
    store: ReconciliationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "PAGE", 2)
    for number in range(1, 12):
        await store.remember(Memory(instance_id="a"), entry(number), fence=1)
    verdicts = asyncio.gather(*(store.verify_audit() for _ in range(3)))
    await store.expire_audit(datetime(2026, 1, 5, tzinfo=UTC))
    await store.remember(Memory(instance_id="a"), entry(12), fence=1)
    assert all(verdict.intact for verdict in await verdicts)
    assert (await store.verify_audit()).checked == 8


TAMPERINGS = {
    "changed": "update audit set document = replace(document, 'action 2', 'nothing') "
    "where sequence = 2",
    "garbled": "update audit set document = '{' where sequence = 2",
    "emptied": "update audit set document = '{}' where sequence = 2",
    "no entry any more": "update audit set document = '[1]' where sequence = 2",
    "removed from the middle": "delete from audit where sequence = 2",
    "removed from the end": "delete from audit where sequence = 3",
    "all removed": "delete from audit",
}


@pytest.mark.parametrize("page", [1, 2, 1_000])
@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS.keys())
async def test_tampering_shows(
    tampering: str, page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "PAGE", page)
    path = tmp_path / "daemon.sqlite"
    store = await SqlReconciliationStore.open(sqlite_url(path))
    for number in range(1, 4):
        await store.remember(Memory(instance_id="a"), entry(number), fence=1)
    with sqlite3.connect(path) as connection:
        connection.execute(tampering)
    verdict = await store.verify_audit()
    assert not verdict.intact
    assert verdict.broken_at is not None
    await store.close()


async def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sqlite"
    await (await SqlReconciliationStore.open(sqlite_url(path))).close()
    with sqlite3.connect(path) as connection:
        connection.execute("update reconciliation_version set version_num = 'reconciliation_9999'")
        connection.execute("update reconciliation_oldest set revision = 'reconciliation_9998'")
    with pytest.raises(SchemaError, match="newer"):
        await SqlReconciliationStore.open(sqlite_url(path))


async def test_a_lost_store_says_so_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sqlite"
    store = await SqlReconciliationStore.open(sqlite_url(path))
    with sqlite3.connect(path) as connection:
        connection.execute("alter table memories rename to hidden")
    with pytest.raises(StoreError, match=f"{path}: no such table: memories"):
        await store.remember(Memory(instance_id="a"), entry(1), fence=1)
    with sqlite3.connect(path) as connection:
        connection.execute("alter table hidden rename to memories")
    assert await store.audit(AuditQuery()) == [], "nothing of the failed call was kept"
    await store.remember(Memory(instance_id="a"), entry(1), fence=1)
    await store.close()


async def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sqlite"
    path.write_text("this was a database once, before the disk was full")
    with pytest.raises(DatabaseError, match=r"daemon\.sqlite cannot be used .* restore a backup"):
        await SqlReconciliationStore.open(sqlite_url(path))


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    opened = await SqlReconciliationStore.open(sqlite_url(tmp_path / "daemon.sqlite"))
    await opened.remember(Memory(instance_id="a"), fence=1)
    modes = modes_for_others(tmp_path)
    await opened.close()
    assert modes and set(modes.values()) == {0}, modes


def modes_for_others(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o077 for each in folder.iterdir()}
