"""What every store of the control plane promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from draas.contract.feed import Change
from draas.control_plane.records import Answer, Generation, Place, Record, Slot, Write, put
from draas.control_plane.store import Store, StoreError
from draas.model.instance import Instance, OperationInFlight

AT = "2030-01-01T00:00:00.000000Z"
LATER = "2030-01-01T00:00:01.000000Z"
Reopen = Callable[[], AbstractAsyncContextManager[Store]]


def record(instance_id: str, generation: int = 1) -> Record:
    instance = Instance(
        id=instance_id,
        generation=generation,
        desired_digest=f"d{generation}",
        desired_run_state="Stopped",
        status="Created",
        name="näme",
        labels={"k": "v"},
        created_at=AT,
    )
    return Record(instance=instance, port=8080, reported={"reported:x": "y"})


def change(sequence: int, instance_id: str = "a", **members: Any) -> Change:
    return Change(
        sequence=sequence,
        kind="Created",
        instance_id=instance_id,
        at=members.pop("at", AT),
        actor="alice",
        metadata={"Reason": "r"},
        **members,
    )


def generation(instance_id: str, number: int) -> Generation:
    return Generation(
        instance_id=instance_id,
        generation=number,
        digest=f"d{number}",
        document=b'{"n": %d}' % number,
        at=AT,
        actor="alice",
    )


def creation(instance_id: str, sequence: int) -> Write:
    return Write(
        instance_id=instance_id,
        record=record(instance_id),
        changes=(change(sequence, instance_id),),
        generation=generation(instance_id, 1),
    )


SLOT = Slot(
    name="main",
    host="127.0.0.1",
    port=8080,
    digest="d1",
    components_digest="c1",
    generation=1,
    at=AT,
    process_id=7,
    process_started=1893456000.123456,
    weight=40,
    placement={"sources/s": Place("127.0.0.1", 9000, 20001)},
    host_id="h",
    mirrored=True,
)
HELD = OperationInFlight("start", "op", "alice", AT, fence=7, host="h")


class ControlPlaneStoreContract:
    """Give `reopen`: a context with the store over the same data each time."""

    @pytest.fixture
    async def store(self, reopen: Reopen) -> AsyncIterator[Store]:
        async with reopen() as store:
            yield store

    async def test_what_was_written_is_there_when_opened_again(self, reopen: Reopen) -> None:
        running = put(
            record("a"), slot=SLOT, status="Running", last_good_generation=1, operation=HELD
        )
        async with reopen() as store:
            epoch = (await store.load()).epoch
            await store.write([creation("a", 1)], after=0, keep=10)
            update = Write(instance_id="a", record=running, changes=(change(2),))
            await store.write([update], after=1, keep=10)
        async with reopen() as store:
            loaded = await store.load()
            assert (loaded.epoch, loaded.sequence) == (epoch, 2)
            assert loaded.records == [running]
            assert await store.configuration("a", 1) == generation("a", 1)
            assert await store.changes(0, 10) == [change(1), change(2)]

    def test_no_member_of_a_slot_is_left_out_here(self) -> None:
        fields = msgspec.structs.fields(Slot)
        assert [each.name for each in fields if getattr(SLOT, each.name) == each.default] == []

    async def test_a_slot_goes_with_what_ended(self, store: Store) -> None:
        await store.write([creation("a", 1)], after=0, keep=10)
        for number, slot in ((2, SLOT), (3, None)):
            each = put(record("a"), slot=slot)
            write = Write(instance_id="a", record=each, changes=(change(number),))
            await store.write([write], after=number - 1, keep=10)
        assert (await store.load()).records == [record("a")]

    async def test_a_writer_with_an_old_world_is_refused(self, store: Store) -> None:
        await store.write([creation("a", 1)], after=0, keep=10)
        with pytest.raises(StoreError, match="another control plane"):
            await store.write([creation("b", 1)], after=0, keep=10)
        assert [each.instance.id for each in (await store.load()).records] == ["a"]

    async def test_a_group_is_written_whole_or_not_at_all(self, store: Store) -> None:
        await store.write([creation("a", 1)], after=0, keep=10)
        twice = msgspec.structs.replace(creation("a", 3))
        with pytest.raises(StoreError):
            await store.write([creation("b", 2), twice], after=1, keep=10)
        loaded = await store.load()
        assert (loaded.sequence, [each.instance.id for each in loaded.records]) == (1, ["a"])
        assert await store.changes(0, 10) == [change(1)]

    async def test_a_group_is_as_good_as_its_writes_one_by_one(self, store: Store) -> None:
        def write(number: int, what: Record | None, made: Generation | None = None) -> Write:
            key = what.instance.id if what else "a"
            changes = (change(number, key),)
            return Write(instance_id=key, record=what, changes=changes, generation=made)

        await store.write([creation("a", 1), creation("b", 2)], after=0, keep=99)
        running = put(record("b", 3), slot=SLOT)
        again = record("a", 2)
        group = [
            write(3, record("a", 2), generation("a", 2)),
            write(4, None),
            write(5, record("a"), generation("a", 1)),
            write(6, None),
            write(7, record("a"), generation("a", 1)),
            write(8, put(again, slot=SLOT), generation("a", 2)),
            write(9, again),
            write(10, record("b", 2), generation("b", 2)),
            write(11, running, generation("b", 3)),
        ]
        await store.write(group, after=2, keep=99)
        assert (await store.load()).records == [again, running]
        assert [each.generation for each in await store.generations("a")] == [2, 1]
        assert [each.generation for each in await store.generations("b")] == [3, 2, 1]
        assert [each.sequence for each in await store.changes(0, 99)] == list(range(1, 12))

    async def test_a_deletion_takes_everything_but_the_changes(self, store: Store) -> None:
        await store.write([creation("a", 1)], after=0, keep=10)
        gone = Write(instance_id="a", record=None, changes=(change(2),))
        await store.write([gone], after=1, keep=10)
        assert (await store.load()).records == []
        assert await store.configuration("a", 1) is None
        assert await store.generations("a") == []
        assert len(await store.changes(0, 10)) == 2

    async def test_fences_are_kept_with_the_instance_and_its_changes(self, reopen: Reopen) -> None:
        fenced = Write(
            instance_id="a",
            record=msgspec.structs.replace(record("a"), fence=2**53 - 1),
            changes=(msgspec.structs.replace(change(2), fence=2**53 - 1),),
        )
        async with reopen() as store:
            await store.write([creation("a", 1), fenced], after=0, keep=100)
        async with reopen() as store:
            assert (await store.load()).records[0].fence == 2**53 - 1
            assert [each.fence for each in await store.changes(0, 10)] == [None, 2**53 - 1]

    async def test_the_fences_of_what_is_gone_are_told(self, reopen: Reopen) -> None:
        async with reopen() as store:
            fenced = [
                Write(
                    instance_id=name,
                    record=record(name),
                    changes=(msgspec.structs.replace(change(number, name), fence=number),),
                )
                for number, name in enumerate("abba", 1)
            ]
            await store.write(fenced, after=0, keep=100)
            assert (await store.load()).fences == {}
            gone = Write(instance_id="a", record=None, changes=(change(5),))
            await store.write([gone], after=4, keep=100)
        async with reopen() as store:
            assert (await store.load()).fences == {"a": 4}

    async def test_first_answers_stay_the_newest_few_and_go_with_the_instance(
        self, store: Store
    ) -> None:
        await store.write([creation("a", 1), creation("b", 2)], after=0, keep=100)
        kept = [Answer(str(n), "f", 200, "application/json", b"%d" % n) for n in range(6)]
        for each in kept:
            await store.keep_answer("a", each, 4)
        await store.keep_answer("b", kept[0], 4)
        await store.keep_answer("a", msgspec.structs.replace(kept[5], status=500), 4)
        await store.keep_answer("nobody", kept[0], 4)
        assert [await store.answer("a", str(n)) for n in range(6)] == [None, None, *kept[2:]]
        assert await store.answer("b", "0") == kept[0]
        gone = Write(instance_id="a", record=None, changes=(change(3),))
        await store.write([gone], after=2, keep=100)
        assert await store.answer("a", "5") is None

    async def test_only_the_newest_changes_are_kept(self, store: Store) -> None:
        for number in range(1, 8):
            await store.write([creation(f"i{number}", number)], after=number - 1, keep=3)
        assert [each.sequence for each in await store.changes(0, 10)] == [5, 6, 7]
        assert [each.sequence for each in await store.changes(5, 1)] == [6]

    async def test_changes_since_an_instant_have_a_status(self, store: Store) -> None:
        events = (
            change(1, new_status="Error"),
            change(2, new_status="Running", at=LATER),
            change(3, new_status="Error", at=LATER),
            change(4, at=LATER),
        )
        write = Write(instance_id="a", record=record("a"), changes=events)
        await store.write([write], after=0, keep=10)
        assert [each.sequence for each in await store.changes_since(AT, None)] == [1, 2, 3]
        assert [each.sequence for each in await store.changes_since(LATER, None)] == [2, 3]
        assert [each.sequence for each in await store.changes_since(AT, "Error")] == [1, 3]

    async def test_old_generations_are_forgotten_but_those_in_use(self, store: Store) -> None:
        await store.write([creation("a", 1), creation("b", 2)], after=0, keep=10)
        used = msgspec.structs.replace(
            put(record("a"), slot=msgspec.structs.replace(SLOT, generation=2)),
            earlier_good_generation=3,
        )
        for number in range(2, 9):
            update = Write(
                instance_id="a",
                record=put(used, generation=number, last_good_generation=4),
                changes=(change(number + 1),),
                generation=generation("a", number),
            )
            await store.write([update], after=number, keep=10, generations=2)
        assert [each.generation for each in await store.generations("a")] == [8, 7, 4, 3, 2]
        assert [each.generation for each in await store.generations("b")] == [1]

    async def test_history_is_newest_first_and_the_stream_has_the_present(
        self, store: Store
    ) -> None:
        await store.write([creation("b", 1), creation("a", 2)], after=0, keep=10)
        update = Write(
            instance_id="a",
            record=record("a", 2),
            changes=(change(3),),
            generation=generation("a", 2),
        )
        await store.write([update], after=2, keep=10)
        assert [each.generation for each in await store.generations("a")] == [2, 1]
        assert [each.document for each in await store.generations("a")] == [b"", b""]
        present = [each async for each in store.configurations()]
        assert present == [generation("a", 2), generation("b", 1)]
