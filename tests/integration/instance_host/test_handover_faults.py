"""What breaks between the hosts of an instance is said, and never taken for agreement."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.instance_host.handover import (
    hand_over,
    has_error,
    has_state,
    hosts_in,
    receiving,
    shop,
    state,
)
from tests.integration.instance_host.hosts import (
    COUNT,
    configuration,
    order,
    query,
    source,
    spawn,
    start_fails,
)
from tests.support.eventually import eventually
from tests.support.ports import free_port


class Wire:
    """A way to a host that can be cut and mended."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_cut = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def wired(port: int) -> AsyncIterator[Wire]:
    wire = Wire(port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", wire.port)
    yield wire
    wire.cut()
    server.close()


async def test_a_connection_that_breaks_is_made_again_where_it_stopped(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        document = shop()
        a = await hosts.start(document)
        await a.push(order("a", 1))
        async with wired(document["port"]) as wire:
            b = await hosts.start(shop(), "--follow", wire.url)
            wire.cut()
            await has_error(b, "the leader does not answer")
            assert (await state(b))["lag"] is None
            status, answer = await b.call("POST", "/sources/orders/push", order("x", 1))
            assert (status, answer["code"]) == (503, "NOT_NOW")
            await a.push(order("b", 2), order("a", 5))
            assert (await state(b))["sequence"] == 1
            wire.is_cut = False
            await has_state(b, sequence=3, lag=0, error=None)
            await b.has_rows("count", {"orders": 2, "total": 7.0})


async def test_a_dead_leader_is_replaced_by_force(tmp_path: Path) -> None:
    async with receiving() as receiver, hosts_in(tmp_path) as hosts:
        document = shop(receiver)
        a = await hosts.start(document)
        await a.push(order("a", 1), order("b", 2))
        b = await hosts.follow(a, shop(receiver))

        async def delivered() -> bool:
            return len(receiver.calls) == 4

        await eventually(delivered)
        a.process.kill()
        await a.process.wait()
        await has_error(b, "the leader does not answer")
        await b.has_rows("count", {"orders": 2, "total": 3.0})
        status, answer = await b.call("POST", "/handover/promote", {"sequence": 3})
        assert (status, answer["code"]) == (503, "NOT_NOW")
        assert (await state(b))["role"] == "follower"
        await b.do("POST", "/handover/promote", {"sequence": None})
        await b.push(order("c", 3))
        await has_state(b, role="leader", sequence=3, lag=0, error=None)
        await b.has_rows("count", {"orders": 3, "total": 6.0})

        async def one_more() -> bool:
            return [row["orders"] for row in receiver.of("count")] == [1, 2, 3]

        await eventually(one_more)


async def test_a_leader_that_began_anew_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        document = shop()
        a = await hosts.start(document)
        await a.push(order("a", 1), order("b", 2))
        b = await hosts.follow(a, shop())
        await a.stop()
        again = await hosts.start(document)
        await again.push(order("x", 1), order("y", 1), order("z", 1))
        await has_error(b, "the leader does not know the past of change 2")
        assert (await state(b))["sequence"] == 2
        await b.has_rows("count", {"orders": 2, "total": 3.0})


async def test_who_led_on_by_mistake_is_not_followed_silently(tmp_path: Path) -> None:
    """The leader is forced to lead again behind the back of its successor, and takes a change."""
    async with hosts_in(tmp_path) as hosts:
        document = shop()
        a = await hosts.start(document)
        async with wired(document["port"]) as wire:
            b = await hosts.start(shop(), "--follow", wire.url)
            wire.cut()
            await b.do("POST", "/handover/promote", {"sequence": None})
            await a.push(order("a", 1))
            await b.push(order("b", 1))
            await a.do("POST", "/handover/seal", {"successor": b.url})
            await a.do("POST", "/handover/follow", {"leader": b.url})
            await has_error(a, "change 1 is not the leader's")


async def test_a_follower_that_slept_for_too_long_says_that_it_lost_the_thread(
    tmp_path: Path,
) -> None:
    async with hosts_in(tmp_path) as hosts:
        a = await hosts.start(shop(reactions=[]))
        b = await hosts.follow(a, shop(reactions=[]))
        b.process.send_signal(signal.SIGSTOP)
        for number in range(8):
            large = order("large", number, "update")
            large["element"]["properties"]["text"] = "x" * 7_000_000
            await a.push(large)
        b.process.send_signal(signal.SIGCONT)
        await has_error(b, "the leader no longer has the changes after")
        assert (await state(b))["sequence"] < 8
        status, _ = await b.call("POST", "/handover/promote", {"sequence": 8})
        assert status == 503


async def test_a_missing_export_and_a_missing_leader_are_refused(tmp_path: Path) -> None:
    for number, arguments in enumerate(
        (("--restore", str(tmp_path / "none")), ("--follow", f"http://127.0.0.1:{free_port()}"))
    ):
        directory = tmp_path / str(number)
        directory.mkdir()
        output = await start_fails(directory, shop(), *arguments)
        assert f"draas-instance: {arguments[0]} {arguments[1]}: " in output


async def test_nothing_of_the_elements_is_logged(tmp_path: Path) -> None:
    async with hosts_in(tmp_path) as hosts:
        document = configuration(
            sources=[source()], queries=[query("count", COUNT)], logLevel="trace"
        )
        a = await hosts.start(document)
        await a.push(order("secret-id", 4711))
        b = await hosts.follow(a, {**document, "port": free_port(), "sources": [source()]})
        await b.push(order("secret-too", 4711))
        await hand_over(a, b)
        await b.push(order("secret-three", 4711))
        for host in (a, b):
            ours = [x for x in host.output.read_text().splitlines() if " draas." in x]
            assert ours
            assert not [line for line in ours if "secret" in line or "4711" in line]


async def test_a_follower_can_be_stopped_while_it_waits_for_its_leader(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    port = free_port()
    server = await asyncio.start_server(silent, "127.0.0.1", port)
    document = shop()
    output = tmp_path / "follower.txt"
    config = tmp_path / "server.json"
    config.write_text(json.dumps(document))
    process = await spawn(config, output, "--follow", f"http://127.0.0.1:{port}")

    async def waiting() -> bool:
        return "held" in output.read_text()

    await eventually(waiting)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0
    server.close()
