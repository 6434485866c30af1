"""What is written of an instance while its shard goes to others, and comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from draas.decide.assign import shard_of
from draas.model.audit import AuditEntry
from draas.model.reconciliation import Memory, Operation, Phase
from draas.reconciliation import record
from draas.reconciliation.fleet import Fleet
from draas.reconciliation.journal import Journal
from draas.reconciliation.store import LeaseLostError
from draas.testing.memory_store import MemoryReconciliationStore
from draas.testing.virtual_time import VirtualClock
from tests.unit.decide.test_plan import OPEN_OPERATION

OPERATION = replace(OPEN_OPERATION, fence=1)
NAME = OPERATION.instance_id
SHARD = shard_of(NAME)


class Held:
    """A journal that holds the instance's shard under `fence`, and a store that others share."""

    def __init__(self) -> None:
        self.fence = 1
        self.store = MemoryReconciliationStore()
        self.journal = Journal(
            self.store, Fleet(), lambda _: self.fence, VirtualClock(), audit=True
        )

    async def go_to_another(self, fence: int) -> None:
        await self.store.take_over({SHARD: fence})

    async def come_back(self, fence: int) -> None:
        self.fence = fence
        await self.journal.take_over({SHARD: fence})


@pytest.fixture
def held() -> Held:
    return Held()


async def test_an_operation_that_others_went_on_with_is_not_open_here(held: Held) -> None:
    await held.journal.save(OPERATION)
    await held.go_to_another(2)
    with pytest.raises(LeaseLostError):
        await held.journal.save(replace(OPERATION, phase=Phase.STARTING))
    assert held.journal.open == {}


async def test_what_comes_back_is_as_the_others_left_it(held: Held) -> None:
    await held.journal.save(OPERATION)
    await held.go_to_another(2)
    theirs = replace(OPERATION, phase=Phase.VERIFYING, fence=2)
    await held.store.save_operation(theirs)
    await held.come_back(3)
    assert held.journal.open == {NAME: theirs}
    await held.go_to_another(4)
    await held.store.finish(replace(theirs, fence=4), held.journal.memory(NAME))
    await held.come_back(5)
    assert held.journal.open == {}


async def test_a_pass_of_before_writes_nothing_once_the_shard_is_back(held: Held) -> None:
    await held.journal.save(OPERATION)
    with held.journal.pass_over(NAME):
        await held.go_to_another(2)
        theirs = replace(OPERATION, phase=Phase.VERIFYING, fence=2)
        await held.store.save_operation(theirs)
        await held.come_back(3)
        with pytest.raises(LeaseLostError):
            held.journal.fence(NAME)
        with pytest.raises(LeaseLostError):
            await held.journal.save(replace(OPERATION, phase=Phase.STARTING, fence=3))
        with pytest.raises(LeaseLostError):
            await held.journal.remember(NAME, lambda known: known)
    assert held.journal.open == {NAME: theirs}
    with held.journal.pass_over(NAME):
        assert held.journal.fence(NAME) == 3


class SlowStore(MemoryReconciliationStore):
    """A store over a network."""

    async def remember(self, memory: Memory, *entries: AuditEntry, fence: int) -> None:
        await asyncio.sleep(0)
        await super().remember(memory, *entries, fence=fence)
        await asyncio.sleep(0)

    async def finish(self, operation: Operation, memory: Memory, *entries: AuditEntry) -> None:
        await asyncio.sleep(0)
        await super().finish(operation, memory, *entries)
        await asyncio.sleep(0)


async def test_what_a_pass_and_a_person_remember_at_once_is_all_remembered(held: Held) -> None:
    held.store = SlowStore()
    journal = Journal(held.store, Fleet(), lambda _: 1, VirtualClock(), audit=True)
    await held.store.take_over({SHARD: 1})
    await journal.save(OPERATION)
    entry = record.finished(OPERATION, Memory(instance_id=NAME), OPERATION.started_at)
    await asyncio.gather(
        journal.remember(NAME, lambda known: replace(known, held_audited="approval")),
        journal.finish(OPERATION, lambda known: (replace(known, failures=1), entry)),
        journal.remember(NAME, lambda known: replace(known, repairs=7)),
    )
    known = journal.memory(NAME)
    assert (known.held_audited, known.failures, known.repairs) == ("approval", 1, 7)
    assert (await held.store.memories())[NAME] == known


async def test_no_pass_begins_over_what_is_not_held() -> None:
    def lost(_: str) -> int:
        raise LeaseLostError("not held")

    journal = Journal(MemoryReconciliationStore(), Fleet(), lost, VirtualClock(), audit=True)
    with pytest.raises(LeaseLostError), journal.pass_over(NAME):
        pass


async def test_what_was_seen_of_an_operation_that_others_hold_now_is_not_kept(held: Held) -> None:
    await held.journal.save(OPERATION)
    with held.journal.pass_over(NAME):
        await held.go_to_another(2)
        held.fence = 2
        held.journal.drop(NAME)
        held.journal.note(replace(OPERATION, inconclusive="nobody can tell"))
    assert held.journal.open == {}
