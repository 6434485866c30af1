"""The contract of the daemon's store, for the SQL adapter and for the fake alike."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from draas.adapters.store.engine import DatabaseError, SchemaError, sqlite_url
from draas.adapters.store.reconciliation import SqlReconciliationStore
from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Quarantine
from draas.reconciliation.store import AuditQuery, ReconciliationStore, StoreError
from draas.testing.memory_store import MemoryReconciliationStore
from tests.unit.decide.test_plan import NOW, OPEN_OPERATION


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
    await store.remember(memory)
    assert await store.memories() == {"a": memory}


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
    assert await store.open_operations() == {"a": OPEN_OPERATION}
    await store.finish(OPEN_OPERATION, Memory(instance_id="a", repairs=1), entry(2))
    assert await store.open_operations() == {}
    assert (await store.memories())["a"].repairs == 1
    assert [each.action for each in await store.audit(AuditQuery())] == ["action 2", "action 1"]


async def test_the_forgotten_is_gone_and_its_audit_stays(store: ReconciliationStore) -> None:
    await store.save_operation(OPEN_OPERATION, entry(1))
    await store.remember(Memory(instance_id="a"))
    await store.forget("a", entry(2, outcome="gone"))
    assert await store.memories() == {}
    assert await store.open_operations() == {}
    assert len(await store.audit(AuditQuery(instance_id="a"))) == 2


async def test_audit_queries(store: ReconciliationStore) -> None:
    for number in range(1, 8):
        who = "a" if number % 2 else "b"
        await store.remember(Memory(instance_id=who), entry(number, who))

    async def found(query: AuditQuery) -> list[int]:
        return [each.sequence for each in await store.audit(query)]

    assert await found(AuditQuery(limit=3)) == [7, 6, 5]
    assert await found(AuditQuery(limit=3, before=5)) == [4, 3, 2]
    assert await found(AuditQuery(instance_id="b")) == [6, 4, 2]
    assert await found(AuditQuery(since="2026-01-06")) == [7, 6]
    assert await found(AuditQuery(outcome="failed")) == []
    assert (await store.audit(AuditQuery(limit=1)))[0].differences == entry(7).differences


async def test_the_chain_holds_over_retention(store: ReconciliationStore) -> None:
    for number in range(1, 8):
        await store.remember(Memory(instance_id="a"), entry(number))
    assert (await store.verify_audit()).checked == 7
    assert await store.expire_audit(datetime(2026, 1, 4, tzinfo=UTC)) == 3
    verdict = await store.verify_audit()
    assert (verdict.intact, verdict.checked) == (True, 4)
    await store.remember(Memory(instance_id="a"), entry(8))
    assert (await store.verify_audit()).intact


TAMPERINGS = {
    "changed": "update audit set document = replace(document, 'action 2', 'nothing') "
    "where sequence = 2",
    "removed from the middle": "delete from audit where sequence = 2",
    "removed from the end": "delete from audit where sequence = 3",
    "all removed": "delete from audit",
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS.keys())
async def test_tampering_shows(tampering: str, tmp_path: Path) -> None:
    path = tmp_path / "daemon.sqlite"
    store = await SqlReconciliationStore.open(sqlite_url(path))
    for number in range(1, 4):
        await store.remember(Memory(instance_id="a"), entry(number))
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
    with pytest.raises(SchemaError, match="newer"):
        await SqlReconciliationStore.open(sqlite_url(path))


async def test_a_lost_store_says_so_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sqlite"
    store = await SqlReconciliationStore.open(sqlite_url(path))
    with sqlite3.connect(path) as connection:
        connection.execute("alter table memories rename to hidden")
    with pytest.raises(StoreError):
        await store.remember(Memory(instance_id="a"), entry(1))
    with sqlite3.connect(path) as connection:
        connection.execute("alter table hidden rename to memories")
    assert await store.audit(AuditQuery()) == [], "nothing of the failed call was kept"
    await store.remember(Memory(instance_id="a"), entry(1))
    await store.close()


async def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sqlite"
    path.write_text("this was a database once, before the disk was full")
    with pytest.raises(DatabaseError, match=r"daemon\.sqlite cannot be used .* restore a backup"):
        await SqlReconciliationStore.open(sqlite_url(path))


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    opened = await SqlReconciliationStore.open(sqlite_url(tmp_path / "daemon.sqlite"))
    await opened.remember(Memory(instance_id="a"))
    modes = modes_for_others(tmp_path)
    await opened.close()
    assert modes and set(modes.values()) == {0}, modes


def modes_for_others(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_mode & 0o077 for each in folder.iterdir()}
