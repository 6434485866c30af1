"""A control plane that answers nonsense: Unknown with a reason, never a crash, never 'no drift'."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from draas.client.control_plane import NativeControlPlane
from draas.client.foreign import ForeignControlPlane
from draas.client.http import HttpClient
from draas.client.port import ControlPlaneError, GarbageError, RefusedError, UnreachableError
from tests.integration.reconciliation.daemons import running_daemon
from tests.support.answering import Answer, serving, text
from tests.support.eventually import eventually

STATE = (
    '{"id": "a", "generation": 1, "desiredDigest": "d", "desiredRunState": "Running", '
    '"status": "Running", "health": "Healthy", "appliedDigest": "d"}'
)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 1_000_000)


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": ')
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(text("not json"), GarbageError, id="no JSON"),
        pytest.param(text('{"id": "a"'), GarbageError, id="truncated JSON"),
        pytest.param(text("[]"), GarbageError, id="an array for an object"),
        pytest.param(text('{"id": 7}'), GarbageError, id="wrong types"),
        pytest.param(text(STATE.replace("1", '"one"')), GarbageError, id="a text for a number"),
        pytest.param(text('"' + "x" * 10_000_000 + '"'), GarbageError, id="ten megabytes"),
        pytest.param(endless, GarbageError, id="an endless stream"),
        pytest.param(silent, UnreachableError, id="silence"),
        pytest.param(cut_off, UnreachableError, id="cut off"),
        pytest.param(text("{}", 500), RefusedError, id="500 without a problem"),
        pytest.param(text("<html>", 502), RefusedError, id="a proxy's page"),
    ],
)
async def test_an_answer_without_sense_is_a_typed_error(
    answer: Answer, kind: type[ControlPlaneError]
) -> None:
    async with serving(answer) as url:
        http = HttpClient(url, actor="test", timeout=2)
        try:
            with pytest.raises(kind) as caught:
                await NativeControlPlane(http).state("a")
            assert str(caught.value)
            assert len(str(caught.value)) < 1000
        finally:
            await http.close()


async def test_a_404_that_is_not_about_the_instance_does_not_mean_gone() -> None:
    async with serving(text("nothing here", 404)) as url:
        http = HttpClient(url, actor="test", timeout=2)
        with pytest.raises(RefusedError):
            await NativeControlPlane(http).state("a")
        await http.close()


@pytest.mark.parametrize(
    ("listed", "gone"),
    [
        pytest.param(text("[]"), True, id="not in the list"),
        pytest.param(text('[{"id": "a"}]'), False, id="in the list"),
        pytest.param(text("", 404), False, id="no list"),
        pytest.param(text("<html>"), False, id="no list but a page"),
    ],
)
async def test_a_foreign_404_means_gone_only_where_the_list_says_so_too(
    listed: Answer, gone: bool
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        is_list = request.path == "/api/servers/instances"
        return await (listed if is_list else text("", 404))(request)

    async with serving(answer) as url:
        http = HttpClient(url, actor="test", timeout=2)
        plane = ForeignControlPlane(http, "/api/servers", poll_interval=1)
        try:
            assert await plane.state("a") is None
        except ControlPlaneError:
            assert not gone
        else:
            assert gone
        finally:
            await http.close()


async def test_one_senseless_instance_spoils_no_other(tmp_path: Path) -> None:
    bad = STATE.replace('"a"', '"bad"').replace('"generation": 1', '"generation": null')
    odd = STATE.replace('"a"', '"odd"').replace('"status": "Running"', '"status": "Dancing"')

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/changes" and "after" not in request.query:
            return web.json_response({"epoch": "e", "cursor": "e:0", "gap": False, "changes": []})
        if request.path == "/api/changes":
            await asyncio.Event().wait()
        if request.path == "/api/servers/instances":
            body = f'{{"epoch": "e", "cursor": "e:0", "instances": [{STATE}, {bad}, {odd}]}}'
            return web.Response(text=body, content_type="application/json")
        known = {"a": STATE, "bad": bad, "odd": odd}
        return web.Response(text=known[request.path.rsplit("/", 1)[1]])

    async with serving(answer) as url, running_daemon(url, tmp_path / "store") as daemon:

        async def synced() -> bool:
            return daemon.link.synced

        await eventually(synced)
        assert set(daemon.fleet.states) == {"a", "odd"}
        assert "makes no sense" in daemon.fleet.unreadable["bad"]
        for name in ("bad", "odd"):
            drift = daemon.fleet.drift(name)
            assert drift.unknown and not drift.kinds
        assert not daemon.fleet.drift("a")


async def test_a_control_plane_of_another_kind_is_named(tmp_path: Path) -> None:
    async with (
        serving(text("hello", 404)) as url,
        running_daemon(url, tmp_path / "store") as daemon,
    ):

        async def noticed() -> bool:
            return "is ControlPlaneUrl right?" in daemon.link.reason

        await eventually(noticed)
        assert not daemon.connected.is_set()
