"""Answers that make no sense are typed errors, and spoil as little as they can."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from draas.client.answers import LONGEST_WAIT
from draas.client.control_plane import NativeControlPlane
from draas.client.foreign import ForeignControlPlane
from draas.client.http import HttpClient
from draas.client.many import Question
from draas.client.port import ControlPlane, GarbageError, Order, RefusedError
from tests.support.answering import asking, text

DEEP = "[" * 200_000
DEEP_JSON = DEEP + "]" * 200_000
ORDER = Order("op", 1, "key")


def state(instance_id: str, more: str = "") -> str:
    return (
        f'{{"id": "{instance_id}", "generation": 1, "desiredDigest": "d", '
        f'"desiredRunState": "Running", "status": "Running"{more}}}'
    )


def listed(*states: str) -> str:
    return f'{{"epoch": "e", "cursor": "e:7", "instances": [{", ".join(states)}]}}'


SENSELESS = [
    pytest.param(f', "new": {"[" * 5000}{"]" * 5000}', {"a", "b"}, set(), id="deep and not known"),
    pytest.param(f', "reason": {"[" * 5000}{"]" * 5000}', {"a"}, {"b"}, id="deep"),
    pytest.param(r', "reason": "\ud800"', {"a"}, {"b"}, id="half a character"),
    pytest.param(f', "generation": {"9" * 5000}', {"a"}, {"b"}, id="an immense number"),
    pytest.param(f', "generation": {"9" * 30}', {"a"}, {"b"}, id="a generation beyond counting"),
    pytest.param(r', "id": "\ud800"', {"a"}, {"?"}, id="an id that is no text"),
    pytest.param(', "id": ".."', {"a"}, {"?"}, id="an id that is no path"),
    pytest.param(', "id": ["b"]', {"a"}, {"?"}, id="an id that is a list"),
]


@pytest.mark.parametrize(("more", "fine", "unreadable"), SENSELESS)
async def test_one_senseless_state_in_a_list_spoils_no_other(
    more: str, fine: set[str], unreadable: set[str]
) -> None:
    async with asking(text(listed(state("b", more), state("a")))) as http:
        found = await NativeControlPlane(http).fleet()
    assert found is not None and found.cursor == "e:7"
    assert {each.id for each in found.states} == fine
    assert set(found.unreadable) == unreadable


@pytest.mark.parametrize("body", [DEEP, '{"epoch": "e"}', '"', "\\", '"' + "\\" * 9], ids=repr)
async def test_a_list_that_is_none_is_garbage(body: str) -> None:
    async with asking(text(body[:200_000])) as http:
        with pytest.raises(GarbageError):
            await NativeControlPlane(http).fleet()


async def test_a_change_that_cannot_be_read_is_a_gap() -> None:
    change = '{"sequence": 8, "kind": "StatusChanged", "instanceId": "a", "at": "", "x": %s}'
    body = '{"epoch": "e", "cursor": "e:8", "gap": false, "changes": [%s]}'
    immense = f'0, "state": {state("a").replace("1", "9" * 30)}'
    for bad in (change % DEEP_JSON, change.replace("8", '"eight"') % 0, change % immense):
        async with asking(text(body % bad)) as http:
            found = await NativeControlPlane(http).changes("e:7", 0)
        assert (found.gap, found.cursor) == (True, "e:8")


async def test_a_foreign_configuration_that_is_nested_too_deep_spoils_no_other() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/instances"):
            deep = '{"id": "deep", "status": 1, "metadata": %s}' % ("[" * 5000 + "]" * 5000)
            half = r'{"id": "\ud800", "status": 1}'
            body = f'[{{"id": "a", "status": 1}}, {{"id": "b", "status": 1}}, {deep}, {half}]'
        else:
            body = DEEP if request.path.endswith("/b") else '{"port": 8080}'
        return await text(body)(request)

    async with asking(answer) as http:
        found = await ForeignControlPlane(http, "/api/servers", poll_interval=1).fleet()
    assert found is not None
    assert {each.id for each in found.states} == {"a", "deep"}
    assert set(found.unreadable) == {"b", "?"}


Call = Callable[[ControlPlane], Awaitable[object]]
ORDERS: list[Call] = [
    lambda plane: plane.start("a", {"password": "s"}, ORDER, 5.0),
    lambda plane: plane.stop("a", ORDER, 5.0),
]


def native(http: HttpClient) -> ControlPlane:
    return NativeControlPlane(http)


def foreign(http: HttpClient) -> ControlPlane:
    return ForeignControlPlane(http, "/api/servers", poll_interval=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("order", ORDERS, ids=["start", "stop"])
@pytest.mark.parametrize("kind", [native, foreign])
async def test_an_order_that_is_sent_elsewhere_has_not_been_carried_out(
    status: int, order: Call, kind: Callable[[HttpClient], ControlPlane]
) -> None:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        if request.method == "POST":
            return await text("", status, Location="/elsewhere?token=secret")(request)
        return await text('{"id": "a", "status": 1}')(request)

    async with asking(answer) as http:
        with pytest.raises(RefusedError, match="sends elsewhere, to '/elsewhere';") as caught:
            await order(kind(http))
    assert caught.value.transient, "it says nothing about the configuration"
    assert "/elsewhere" not in reached


async def test_a_304_that_nobody_asked_for_is_garbage() -> None:
    async with asking(text("", 304)) as http:
        with pytest.raises(GarbageError):
            await NativeControlPlane(http).start("a", {}, ORDER, 5.0)
        [answer] = await http.get_all([Question("/x")])
        assert isinstance(answer, GarbageError)
        [answer] = await http.get_all([Question("/x", '"7"')])
        assert not isinstance(answer, Exception)


@pytest.mark.parametrize(
    ("said", "after"),
    [("7", 7.0), ("²", None), ("-1", None), ("soon", None)]
    + [("9" * digits, LONGEST_WAIT) for digits in (17, 400, 5000)],
)
async def test_a_wish_to_be_left_alone_is_a_number_that_has_an_end(
    said: str, after: float | None
) -> None:
    async with asking(text("{}", 503, Retry_After=said)) as http:
        with pytest.raises(RefusedError) as caught:
            await http.request("GET", "/x")
        [answer] = await http.get_all([Question("/x")])
    assert caught.value.retry_after == after
    assert isinstance(answer, RefusedError) and answer.retry_after == after


@pytest.mark.parametrize("generation", ["²", "9" * 5000, "-1", "one", ""])
async def test_a_generation_is_a_number(generation: str) -> None:
    async with asking(text("{}", Draas_Generation=generation, Draas_Digest="d")) as http:
        with pytest.raises(GarbageError):
            await NativeControlPlane(http).desired("a")


async def test_a_refusal_that_never_ends_is_cut_short() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1_000_000)

    async with asking(endless) as http:
        with pytest.raises(GarbageError, match="exceeds 8388608 bytes"):
            await NativeControlPlane(http).fleet()


async def test_a_problem_that_makes_no_sense_is_a_refusal_all_the_same() -> None:
    bodies = (DEEP, '{"type": [1], "detail": {"a": 1}}', '{"detail": "%s"}' % ("x" * 1_000_000))
    for body in bodies:
        async with asking(text(body, 500)) as http:
            with pytest.raises(RefusedError) as caught:
                await http.request("GET", "/x")
        assert 0 < len(caught.value.detail) <= 2000
