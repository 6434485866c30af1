"""Whatever is answered, a client tells it as a value or as a ControlPlaneError, and goes on."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from draas.client.connect import connect
from draas.client.control_plane import NativeControlPlane
from draas.client.foreign import ForeignControlPlane
from draas.client.http import HttpClient
from draas.client.port import ControlPlane, ControlPlaneError, Order
from draas.contract import routes
from tests.integration.client.test_garbage import listed, state

ORDER = Order("op", 1, "key")
AT = "2026-01-01T00:00:00Z"
NAMES = ["id", "status", "generation", "desiredDigest", "instances", "cursor", "epoch", "changes"]
NAMES += ["instanceId", "timestamp", "oldStatus", "newStatus", "type", "detail", "title", "slots"]
SENSIBLE = [
    "{}",
    "[]",
    state("a"),
    listed(state("a"), state("b")),
    '[{"id": "a", "status": 1}, {"id": "b", "status": "Stopped"}]',
    '{"epoch": "e", "cursor": "e:1", "gap": false, "changes": []}',
    json.dumps([{"instanceId": "a", "timestamp": AT, "oldStatus": 1, "newStatus": 4}]),
    '{"configuration": {"port": 8080}}',
    '{"type": "urn:draas:problem:instance-not-found", "detail": "gone"}',
]
NUMBERS = ["9" * 30, "9" * 5000, "-0", "1e999", "NaN", "0.1", "²"]
WORDS = ["a", "b", "..", "", AT, "zzz", "9999-12-31T23:59:59-23:00", "Running", "\0", "é", "\ud800"]

texts = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=()), max_size=4)
atoms = st.none() | st.booleans() | st.integers() | st.floats() | texts
names = st.sampled_from(NAMES) | texts
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


def nested(text: str, depth: int) -> str:
    return "[" * depth + text + "]" * depth


@st.composite
def altered(draw: st.DrawFn) -> str:
    """Something sensible of which a part was exchanged, nested, doubled or lost."""
    text = draw(st.sampled_from(SENSIBLE))
    cuts = st.integers(0, len(text))
    begin, end = sorted((draw(cuts), draw(cuts)))
    deep = st.builds(nested, st.just(text), st.integers(1, 2000))
    other = draw(values.map(json.dumps) | st.sampled_from(NUMBERS) | deep)
    return text[:begin] + other + text[end:]


bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(SENSIBLE).map(str.encode),
    altered().map(lambda text: text.encode("utf-8", "surrogatepass")),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 200_000, b'{"a":' * 100_000, b'"' + b"\\" * 9, b"\xff\xfe{\0}\0"]),
)
statuses = st.sampled_from([200, 200, 200, 200, 204, 206, 302, 304, 400, 404, 405, 409, 500, 503])
header_names = [routes.GENERATION, routes.DIGEST, "ETag", "Retry-After", "Location"]
header_names += ["Content-Encoding", "Set-Cookie", "Content-Type", "Upgrade"]
header_values = st.sampled_from(
    [b"7", b'"e:7"', b"d", "²".encode(), b"9" * 5000, b"\xff\xfe", b"gzip", b"br", b"/x", b"h2c"]
)
headers = st.lists(st.tuples(st.sampled_from(header_names), header_values), max_size=4)


def http_answer(status: int, named: list[tuple[str, bytes]], body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Odd\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"".join(n.encode() + b": " + v + b"\r\n" for n, v in named) + b"\r\n" + body


answers = st.builds(http_answer, statuses, headers, bodies) | st.binary(max_size=60)


async def again(plane: ControlPlane) -> None:
    """List, and ask for what changed since in the words of the answer."""
    first = await plane.fleet()
    if first is not None:
        await plane.fleet(first.etag)
        await plane.changes(first.cursor or "", 0)


Call = Callable[[ControlPlane], Awaitable[object]]
CALLS: dict[str, Call] = {
    "fleet": lambda plane: plane.fleet(),
    "fleet again": again,
    "changes": lambda plane: plane.changes("", 0),
    "changes after": lambda plane: plane.changes(AT, 0),
    "state": lambda plane: plane.state("a"),
    "desired": lambda plane: plane.desired("a"),
    "last good": lambda plane: plane.last_good("a"),
    "generation": lambda plane: plane.generation("a", 1),
    "observed": lambda plane: plane.observed("a"),
    "start": lambda plane: plane.start("a", {}, ORDER, 5.0),
    "stop": lambda plane: plane.stop("a", ORDER, 5.0),
    "apply": lambda plane: plane.apply("a", {}, ORDER, 5.0),
    "slots": lambda plane: plane.slots("a"),
    "plan": lambda plane: plane.plan_slots("a", {}),
    "open": lambda plane: plane.open_slot("a", {}, ORDER, 5.0, allow_state_loss=False),
    "weigh": lambda plane: plane.weigh("a", {"main": 100}, ORDER, 5.0),
    "traffic": lambda plane: plane.traffic("a"),
    "parity": lambda plane: plane.parity("a"),
    "switch": lambda plane: plane.switch("a", "second", ORDER, 5.0),
    "close": lambda plane: plane.close_slot("a", "second", ORDER, 0.0, 5.0),
}


async def _answered(given: list[bytes], talk: Callable[[HttpClient], Awaitable[None]]) -> None:
    """Let a client talk to a server that gives the answers one after the other, for ever."""
    following: Iterator[bytes] = itertools.cycle(given)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(next(following))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        http = HttpClient(f"http://127.0.0.1:{port}", actor="test", timeout=5)
        try:
            await talk(http)
        finally:
            await http.close()


def native(http: HttpClient) -> ControlPlane:
    return NativeControlPlane(http)


def foreign(http: HttpClient) -> ControlPlane:
    return ForeignControlPlane(http, routes.SERVERS, poll_interval=0)


MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [native, foreign])
@MANY
@given(given=st.lists(answers, min_size=1, max_size=4))
def test_only_control_plane_errors_come_out(
    kind: Callable[[HttpClient], ControlPlane], name: str, given: list[bytes]
) -> None:
    async def talk(http: HttpClient) -> None:
        plane = kind(http)
        for _ in range(2):
            try:
                await CALLS[name](plane)
            except ControlPlaneError as error:
                str(error).encode()
                assert len(str(error)) < 5000

    asyncio.run(_answered(given, talk))


@MANY
@given(given=st.lists(answers, min_size=1, max_size=4))
def test_nothing_else_comes_out_of_looking_who_is_there(given: list[bytes]) -> None:
    async def talk(http: HttpClient) -> None:
        try:
            await connect(http, poll_interval=0)
        except ControlPlaneError as error:
            str(error).encode()

    asyncio.run(_answered(given, talk))
