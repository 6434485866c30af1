"""The SQL store keeps the contract, and refuses what a newer release wrote."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from draas.adapters.clock import SystemClock
from draas.adapters.store import notifications
from draas.adapters.store.control_plane import SqlControlPlaneStore
from draas.adapters.store.control_plane_tables import metadata
from draas.adapters.store.engine import SchemaError, open_engine, sqlite_url
from draas.control_plane.records import Host, Loaded, News, Write
from draas.control_plane.store import Store, StoreError
from tests.contract_suites.control_plane_stores import (
    ControlPlaneStoreContract,
    Reopen,
    change,
    creation,
    record,
)


class TestSqlStore(ControlPlaneStoreContract):
    @pytest.fixture
    def reopen(self, store_url: str) -> Reopen:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Store]:
            store = await SqlControlPlaneStore.open(store_url, SystemClock())
            try:
                yield store
            finally:
                await store.close()

        return opened


@pytest.fixture
async def two(postgres_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two stores over one database, both loaded when it was empty."""
    stores = [await SqlControlPlaneStore.open(postgres_url, SystemClock()) for _ in range(2)]
    for each in stores:
        await each.load()
    yield stores[0], stores[1]
    for each in stores:
        await each.close()


async def test_who_is_behind_hears_what_others_wrote_and_decides_anew(
    two: tuple[Store, Store],
) -> None:
    one, other = two
    await one.write([creation("a", 1)], after=0, keep=10)
    heard: list[object] = []

    def anew(news: News | Loaded) -> list[Write]:
        heard.append(news)
        return [creation("b", news.sequence + 1)]

    await other.write([creation("b", 1)], after=0, keep=10, anew=anew)
    assert heard == [News(1, [change(1)], {"a": record("a")})]
    assert await one.news(1) == News(2, [change(2, "b")], {"b": record("b")})
    assert await one.news(2) is None


async def test_who_decides_anew_that_nothing_is_to_be_done_writes_nothing(
    two: tuple[Store, Store],
) -> None:
    one, other = two
    await one.write([creation("a", 1)], after=0, keep=10)
    await other.write([creation("a", 1)], after=0, keep=10, anew=lambda _: [])
    assert (await one.load()).sequence == 1


async def test_writers_at_once_stand_in_line(two: tuple[Store, Store]) -> None:
    async def write(store: Store, name: str) -> None:
        def anew(news: News | Loaded) -> list[Write]:
            return [creation(name, news.sequence + 1)]

        await store.write([creation(name, 1)], after=0, keep=100, anew=anew)

    await asyncio.gather(*(write(two[n % 2], f"i{n}") for n in range(20)))
    found = await two[0].changes(0, 100)
    assert [each.sequence for each in found] == list(range(1, 21))
    assert {each.instance_id for each in found} == {f"i{n}" for n in range(20)}


async def test_who_missed_what_is_forgotten_reads_everything(two: tuple[Store, Store]) -> None:
    one, other = two
    for number in range(1, 6):
        await one.write([creation(f"i{number}", number)], after=number - 1, keep=2)
    news = await other.news(1)
    assert isinstance(news, Loaded)
    assert (news.sequence, len(news.records)) == (5, 5)


async def test_a_deleted_instance_is_news_without_a_record(two: tuple[Store, Store]) -> None:
    one, other = two
    await one.write([creation("a", 1)], after=0, keep=10)
    gone = Write(instance_id="a", record=None, changes=(change(2),))
    await one.write([gone], after=1, keep=10)
    assert await other.news(0) == News(2, [change(1), change(2)], {"a": None})


async def test_a_writer_is_heard_at_once(two: tuple[Store, Store]) -> None:
    heard = asyncio.Queue[int | None]()

    async def look() -> None:
        news = await two[1].news(0)
        heard.put_nowait(news.sequence if news else None)

    listening = asyncio.create_task(two[1].listen(look))
    assert await heard.get() is None
    await two[0].write([creation("a", 1)], after=0, keep=10)
    async with asyncio.timeout(10):
        while await heard.get() != 1:
            pass
    listening.cancel()


async def test_a_writer_is_heard_though_the_database_was_restarted(
    two: tuple[Store, Store], postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "POLL_SECONDS", 600.0)
    monkeypatch.setattr(notifications, "RETRY_SECONDS", 0.1)
    heard = asyncio.Queue[int | None]()

    async def look() -> None:
        try:
            news = await two[1].news(0)
        except StoreError:
            return
        heard.put_nowait(news.sequence if news else None)

    listening = asyncio.create_task(two[1].listen(look))
    async with asyncio.timeout(20):
        await heard.get()
        await _cut_all_connections(postgres_url)
        await heard.get()
        await two[0].write([creation("a", 1)], after=0, keep=10)
        while await heard.get() != 1:
            pass
    listening.cancel()


async def _cut_all_connections(url: str) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await engine.dispose()


async def test_what_nobody_told_is_found_out(
    two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "TELL", sa.text("SELECT 1"))
    monkeypatch.setattr(notifications, "POLL_SECONDS", 0.1)
    heard = asyncio.Event()

    async def look() -> None:
        if await two[1].news(0) is not None:
            heard.set()

    listening = asyncio.create_task(two[1].listen(look))
    await two[0].write([creation("a", 1)], after=0, keep=10)
    async with asyncio.timeout(10):
        await heard.wait()
    listening.cancel()


async def test_hosts_are_alive_as_long_as_they_beat(two: tuple[Store, Store]) -> None:
    one, other = two
    assert await one.beat("a", "http://a", 60) == [Host("a", "http://a")]
    await other.beat("b", "http://b", 0)
    moved = await one.beat("a", "http://elsewhere", 60)
    assert moved == [Host("a", "http://elsewhere"), Host("b", "http://b", is_alive=False)]
    await one.forget_host("b")
    assert await one.beat("a", "http://a", 60) == [Host("a", "http://a")]


async def test_alone_on_a_file_there_is_no_news(tmp_path: Path) -> None:
    store = await SqlControlPlaneStore.open(sqlite_url(tmp_path / "store.sqlite"), SystemClock())
    await store.write([creation("a", 1)], after=0, keep=10)
    assert (store.shared, await store.news(0)) == (False, None)
    assert await store.beat("a", "http://a", 1) == [Host("a", "http://a")]
    await store.close()


async def test_the_schema_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    await (await SqlControlPlaneStore.open(sqlite_url(file), SystemClock())).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE control_plane_version SET version_num = 'control_plane_9999'")
        connection.execute("UPDATE control_plane_oldest SET revision = 'control_plane_9998'")
    with pytest.raises(SchemaError, match="newer"):
        await SqlControlPlaneStore.open(sqlite_url(file), SystemClock())


async def test_the_tables_are_those_of_the_migrations(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    await (await SqlControlPlaneStore.open(sqlite_url(file), SystemClock())).close()
    with sqlite3.connect(file) as connection:
        for table in metadata.sorted_tables:
            rows = connection.execute(f"PRAGMA table_info({table.name})").fetchall()
            found = {row[1]: bool(row[3]) for row in rows if not row[5]}
            wanted = {
                each.name: not each.nullable for each in table.columns if not each.primary_key
            }
            assert found == wanted, table.name


async def test_a_failure_names_no_content(tmp_path: Path) -> None:
    store = await SqlControlPlaneStore.open(sqlite_url(tmp_path / "store.sqlite"), SystemClock())
    try:
        with sqlite3.connect(tmp_path / "store.sqlite") as connection:
            connection.execute("DROP TABLE changes")
        with pytest.raises(StoreError) as caught:
            await store.write([creation("a", 1)], after=0, keep=10)
        assert "näme" not in str(caught.value)
        assert "INSERT" not in str(caught.value)
        with sqlite3.connect(tmp_path / "store.sqlite") as connection:
            assert connection.execute("SELECT * FROM instances").fetchall() == []
    finally:
        await store.close()
