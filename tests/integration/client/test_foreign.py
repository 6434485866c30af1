"""A foreign control plane in all its states: what its one status tells, and what it does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from draas.client.foreign import ForeignControlPlane
from draas.client.port import Order, RefusedError
from draas.decide.detect import detect
from draas.model.instance import InstanceState
from tests.support.answering import asking, text

ORDER = Order("op", 1, "key")
T1, T2, T3 = (f"2026-01-01T00:00:0{n}.1234567Z" for n in (1, 2, 3))


class Server:
    """Answers with what it has; what it was asked since is in `since`."""

    def __init__(self) -> None:
        self.status: Any = 1
        self.recent: list[Any] = []
        self.since: list[str | None] = []
        self.stop = text("stopped")
        self.stops = 0
        self.filters = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        item = {"id": "a", "status": self.status}
        if request.path.endswith("recent-changes"):
            return await self._recent(request)
        if request.method == "POST":
            self.stops += 1
            return await self.stop(request)
        if request.path.startswith("/api/configuration"):
            return await text('{"port": 8080}')(request)
        is_list = request.path.endswith("/instances")
        return await text(json.dumps([item] if is_list else item))(request)

    async def _recent(self, request: web.Request) -> web.StreamResponse:
        since = request.query.get("since")
        self.since.append(since)
        if since is not None and not since.startswith("2026"):
            return await text("The value is not valid.", 400)(request)
        old = self.filters and since
        kept = [each for each in self.recent if not old or each["timestamp"] >= since]
        return await text(json.dumps(kept))(request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def plane(server: Server) -> AsyncIterator[ForeignControlPlane]:
    async with asking(server.answer) as http:
        yield ForeignControlPlane(http, "/api/servers", poll_interval=0.01)


def change(at: Any, new: Any = 4, old: Any = 1) -> dict[str, Any]:
    return {"instanceId": "a", "timestamp": at, "oldStatus": old, "newStatus": new}


async def state(plane: ForeignControlPlane) -> InstanceState:
    found = await plane.state("a")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("seen", "shown", "wanted"),
    [
        pytest.param([1, 4], "Running", "Running", id="ran, changed"),
        pytest.param([2, 4], "Stopped", "Stopped", id="stopped, changed"),
        pytest.param([2, 4, 3], "Error", "Stopped", id="stopped, changed, taken for failed"),
        pytest.param([1, 3], "Error", "Running", id="failed"),
        pytest.param([3], "Error", "Running", id="failed before it was seen"),
        pytest.param([2, 1, 4], "Running", "Running", id="started again, changed"),
        pytest.param([4], "Unknown", "Stopped", id="never seen, changed"),
        pytest.param([2, "Dancing"], "Unknown", "Stopped", id="something else"),
    ],
)
async def test_a_changed_configuration_does_not_say_whether_it_runs(
    server: Server, plane: ForeignControlPlane, seen: list[Any], shown: str, wanted: str
) -> None:
    for status in seen:
        server.status = status
        listed = await plane.fleet()
    found = await state(plane)
    assert (found.status, found.desired_run_state) == (shown, wanted)
    assert listed is not None and listed.states == (found,)
    assert bool(detect(found).unknown) == (shown == "Unknown")


@pytest.mark.parametrize("seen", [1, 2, 4])
@pytest.mark.parametrize(("old", "shown"), [(1, "Running"), ("Stopped", "Stopped")])
async def test_what_it_was_is_told_by_the_change_and_may_not_have_been_seen(
    server: Server, plane: ForeignControlPlane, seen: int, old: Any, shown: str
) -> None:
    server.status = seen
    await plane.fleet()
    server.status, server.recent = 4, [change(T1, old=3 - seen), change(T2, old=old)]
    listed = await plane.fleet()
    assert listed is not None and [each.status for each in listed.states] == [shown]
    assert (await state(plane)).status == shown


@pytest.mark.parametrize(
    ("seen", "shown", "wanted"),
    [(4, "Error", "Running"), (1, "Running", "Running"), (2, "Stopped", "Stopped")],
)
async def test_a_failure_before_the_change_is_no_wish_of_its_user(
    server: Server, plane: ForeignControlPlane, seen: int, shown: str, wanted: str
) -> None:
    server.status = seen
    await plane.fleet()
    server.status, server.recent = 4, [change(T1, old=3)]
    found = await state(plane)
    assert (found.status, found.desired_run_state) == (shown, wanted)


async def test_what_a_change_does_not_tell_stays_as_it_was_seen(
    server: Server, plane: ForeignControlPlane
) -> None:
    await plane.fleet()
    server.status, server.recent = 4, [change(T1, old=9)]
    assert (await state(plane)).status == "Running"
    assert await told(plane, "") == ([T1], T1), "it is news all the same"


@pytest.mark.parametrize("status", ["Dancing", [1], None, 17, 10**30, {"a": 1}], ids=repr)
async def test_a_status_that_nobody_knows_is_told_as_it_came(
    server: Server, plane: ForeignControlPlane, status: Any
) -> None:
    server.status = status
    found = await state(plane)
    assert found.status == "Unknown"
    assert repr(status) in detect(found).unknown


@pytest.mark.parametrize("status", [0, 2, 3])
async def test_what_does_not_run_is_not_stopped(
    server: Server, plane: ForeignControlPlane, status: int
) -> None:
    server.status = status
    assert await plane.stop("a", ORDER, 5.0) is False
    assert server.stops == 0


@pytest.mark.parametrize("status", [1, 4, "Dancing"])
async def test_what_may_run_is_stopped(
    server: Server, plane: ForeignControlPlane, status: Any
) -> None:
    server.status = status
    assert await plane.stop("a", ORDER, 5.0) is True
    server.stop = text("Instance a not found or not running", 500)
    assert await plane.stop("a", ORDER, 5.0) is False, "it crashed, and the status does not tell"
    server.stop = text("out of memory", 500)
    with pytest.raises(RefusedError):
        await plane.stop("a", ORDER, 5.0)


async def told(plane: ForeignControlPlane, after: str) -> tuple[list[str], str]:
    found = await plane.changes(after, 0)
    return [each.at for each in found.changes], found.cursor


@pytest.mark.parametrize(
    "garbage", ["zzz", "", None, 7, [1], "2026-13-01", "0001-01-01T00:00:00+23:00"], ids=repr
)
async def test_a_time_that_is_none_does_not_move_the_cursor(
    server: Server, plane: ForeignControlPlane, garbage: Any
) -> None:
    server.filters = False
    server.recent = [change(garbage), change(T1), "nonsense", {"timestamp": T3}]
    assert await told(plane, "") == (["", T1], T1)
    assert await told(plane, T1) == ([], T1)
    server.recent = [change(garbage, new=2)]
    assert await told(plane, T1) == ([""], T1), "it is told all the same"


async def test_a_cursor_that_is_refused_is_dropped(
    server: Server, plane: ForeignControlPlane
) -> None:
    server.recent = [change(T1)]
    assert await told(plane, "zzz") == ([T1], T1)
    assert server.since == ["zzz", None]


async def test_a_server_that_ignores_the_cursor_does_not_move_it_back(
    server: Server, plane: ForeignControlPlane
) -> None:
    server.filters = False
    server.recent = [change(T1), change(T2)]
    assert await told(plane, "") == ([T1, T2], T2)
    assert await told(plane, T2) == ([], T2)
    server.recent = [change(T1)]
    assert await told(plane, T2) == ([], T2)
    server.recent = [change(T1), change(T3)]
    assert await told(plane, T2) == ([T3], T3)
