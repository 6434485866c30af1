"""What a look at a running server makes of every kind of answer."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from draas.adapters.clock import SystemClock
from draas.adapters.platforms.drasi_client import _MAX_BYTES, DrasiClient
from draas.control_plane.documents import LARGEST
from draas.control_plane.ports import ComponentStatus, Observation, Running
from draas.model.status import Health
from tests.support.ports import free_port

SNAPSHOT = "/api/v1/instances/al%2Fpha/snapshot"
ID = "al/pha"


def http(body: bytes | Any, status: int = 200, headers: str = "") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} It\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


def snapshot(**parts: Any) -> dict[str, Any]:
    return {"instance_id": ID, "sources": [], "queries": [], "reactions": []} | parts


def query(status: str = "Running", identity: str = "q", **config: Any) -> dict[str, Any]:
    return {"id": identity, "status": status, "config": {"auto_start": True} | config}


def source(status: str = "Running", identity: str = "s", **members: Any) -> dict[str, Any]:
    return {"id": identity, "status": status, "source_type": "mock", "auto_start": True} | members


@asynccontextmanager
async def server(answers: Mapping[str, bytes], *, endless: bool = False) -> AsyncIterator[Running]:
    """A server of raw bytes by path; after an `endless` one it never closes or goes on forever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1].decode()
            writer.write(answers.get(path, http({}, 404)))
            while endless and path != "/health":
                writer.write(b" " * 65_536)
                await writer.drain()
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield Running(ID, "main", 1, 1.0, "127.0.0.1", port)
    finally:
        listener.close()


async def look(running: Running, within: float = 5.0) -> Observation:
    client = DrasiClient(SystemClock(), timeout=within)
    try:
        return await client.observe(running)
    finally:
        await client.close()


async def observed(answers: Mapping[str, bytes]) -> Observation:
    async with server({"/health": http({"status": "ok"})} | dict(answers)) as running:
        return await look(running)


@pytest.mark.parametrize(
    ("report", "health", "reason"),
    [
        pytest.param(snapshot(), Health.HEALTHY, None, id="nothing to run"),
        pytest.param(
            snapshot(sources=[source()], queries=[query()]), Health.HEALTHY, None, id="all run"
        ),
        pytest.param(
            {"success": True, "data": snapshot(), "error": None},
            Health.HEALTHY,
            None,
            id="in an envelope",
        ),
        pytest.param(
            snapshot(queries=[query("Stopped")]),
            Health.DEGRADED,
            "query 'q' is Stopped",
            id="a query stopped",
        ),
        pytest.param(
            snapshot(queries=[query("Stopped", auto_start=False)]),
            Health.HEALTHY,
            None,
            id="a query that need not run",
        ),
        pytest.param(
            snapshot(queries=[{"id": "q", "status": "Added", "config": {}}]),
            Health.HEALTHY,
            None,
            id="queries do not start by themselves",
        ),
        pytest.param(
            snapshot(queries=[{"id": "q", "status": "Added", "config": {"autoStart": True}}]),
            Health.DEGRADED,
            "query 'q' is Added",
            id="the other spelling",
        ),
        pytest.param(
            snapshot(sources=[{"id": "s", "status": "Starting"}]),
            Health.DEGRADED,
            "source 's' is Starting",
            id="sources start by themselves",
        ),
        pytest.param(
            snapshot(
                sources=[source("Stopped", "__component_graph__")],
                reactions=[source("Error", "__attach_1")],
            ),
            Health.HEALTHY,
            None,
            id="the server's own",
        ),
        pytest.param(
            snapshot(queries=[query("Stopped", f"q{n}") for n in range(5)]),
            Health.DEGRADED,
            "query 'q0' is Stopped; query 'q1' is Stopped; query 'q2' is Stopped; and 2 more",
            id="many",
        ),
        pytest.param(
            snapshot(queries=[query("Dreaming"), query("Stopped", "p")]),
            Health.UNKNOWN,
            "status not understood: query 'q' is Dreaming",
            id="a status of the future",
        ),
    ],
)
async def test_health_of_a_server_that_reports(
    report: dict[str, Any], health: Health, reason: str | None
) -> None:
    seen = await observed({SNAPSHOT: http(report)})
    assert (seen.health, seen.reason) == (health, reason)
    assert seen.snapshot == report.get("data", report)
    assert seen.at.tzinfo is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(http(b"{"), "no readable JSON", id="truncated JSON"),
        pytest.param(http(b""), "no readable JSON", id="empty"),
        pytest.param(http(b"\xff\xfe{}"), "no readable JSON", id="no text"),
        pytest.param(http(b"[" * 100_000), "no readable JSON", id="too deep"),
        pytest.param(
            http(
                gzip.compress(json.dumps(snapshot()).encode()), headers="Content-Encoding: gzip\r\n"
            ),
            "no readable JSON",
            id="compressed unasked",
        ),
        pytest.param(http([1]), "names no instance_id", id="a list"),
        pytest.param(http({"instance_id": 7}), "names no instance_id", id="a number for an id"),
        pytest.param(
            http({**snapshot(), "instance_id": "beta"}),
            "is answered by another server, of instance 'beta'",
            id="a reused port",
        ),
        pytest.param(http({"instance_id": ID}), "is no snapshot", id="no lists"),
        pytest.param(http(snapshot(sources={})), "is no snapshot", id="no list"),
        pytest.param(http(snapshot(sources=[{"id": "s"}])), "is no snapshot", id="no status"),
        pytest.param(
            http(snapshot(queries=[query(auto_start="yes")])), "is no boolean", id="no boolean"
        ),
        pytest.param(
            http(snapshot(sources=[source(), source()])), "names source 's' twice", id="twice"
        ),
        pytest.param(http("?", 404), "answered 404: no instance 'al/pha' there", id="404"),
        pytest.param(http({}, 500), "answered 500", id="500"),
        pytest.param(
            http({}, 302, "Location: /elsewhere\r\n"), "answered 302", id="sent elsewhere"
        ),
        pytest.param(http(b" " * (_MAX_BYTES + 1)), f"above {_MAX_BYTES} bytes", id="too big"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "no answer", id="cut off"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "no answer", id="another protocol"),
        pytest.param(b"", "no answer", id="hung up"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999, "no answer", id="endless header"),
    ],
)
async def test_garbage_is_unknown_with_a_reason(answer: bytes, reason: str) -> None:
    seen = await observed({SNAPSHOT: answer})
    assert seen.health is Health.UNKNOWN
    assert reason in (seen.reason or "")
    assert seen.snapshot is None
    assert seen.components == ()


async def test_an_endless_answer_is_cut() -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    async with server({"/health": http({}), SNAPSHOT: head}, endless=True) as running:
        seen = await look(running)
    assert (seen.health, seen.reason) == (Health.UNKNOWN, f"the answer is above {_MAX_BYTES} bytes")


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        pytest.param(http({}, 503), "GET /health answered 503", id="503"),
        pytest.param(b"", "no answer from 127.0.0.1", id="hung up"),
        pytest.param(b"nonsense\r\n\r\n", "no answer from 127.0.0.1", id="nonsense"),
    ],
)
async def test_a_bad_health_is_unhealthy(health: bytes, reason: str) -> None:
    seen = await observed({"/health": health, SNAPSHOT: http(snapshot())})
    assert seen.health is Health.UNHEALTHY
    assert (seen.reason or "").startswith(reason)
    assert seen.snapshot is None


async def test_nobody_there_is_unhealthy() -> None:
    seen = await look(Running(ID, "main", 1, 1.0, "127.0.0.1", free_port()))
    assert seen.health is Health.UNHEALTHY


async def test_a_silent_server_is_unhealthy_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        seen = await look(Running(ID, "main", 1, 1.0, "127.0.0.1", port), within=0.2)
    assert (seen.health, seen.reason) == (Health.UNHEALTHY, "no whole answer within 0.2 s")


async def test_errors_are_told_without_secrets() -> None:
    broken = source("Error", properties={"password": "hunter22"})
    entries = [{"id": "s", "status": "Error", "error_message": "hunter22 was refused"}]
    seen = await observed(
        {
            SNAPSHOT: http(snapshot(sources=[broken])),
            SNAPSHOT.replace("snapshot", "sources"): http({"success": True, "data": entries}),
        }
    )
    assert seen.components == (ComponentStatus("source", "s", "Error", "*** was refused"),)
    assert seen.reason == "source 's' is Error: *** was refused"
    assert "hunter22" not in repr(seen)


@pytest.mark.parametrize(
    "listing", [http({}, 500), http(b"{"), http({"data": 7}), http([7, {"id": []}])]
)
async def test_an_error_without_its_story_is_still_one(listing: bytes) -> None:
    seen = await observed(
        {
            SNAPSHOT: http(snapshot(sources=[source("Error")])),
            SNAPSHOT.replace("snapshot", "sources"): listing,
        }
    )
    assert (seen.health, seen.reason) == (Health.DEGRADED, "source 's' is Error")
    assert seen.components == (ComponentStatus("source", "s", "Error", None),)


async def test_the_largest_configuration_can_be_read_however_it_is_escaped() -> None:
    text = "é" * (LARGEST // 2)
    seen = await observed({SNAPSHOT: http(snapshot(sources=[source(properties={"t": text})]))})
    assert seen.health is Health.HEALTHY


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
async def test_a_server_on_every_address_is_asked_by_loopback(host: str) -> None:
    async with server({"/health": http({}), SNAPSHOT: http(snapshot())}) as running:
        here = Running(ID, "main", 1, 1.0, host, running.port)
        assert (await look(here)).health is Health.HEALTHY
