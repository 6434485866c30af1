"""What kind of control plane answers is found by what it says, and found again where it moved."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiohttp import web

from draas.client.connect import connect
from draas.client.port import ControlPlane, ControlPlaneError, GarbageError, RefusedError
from draas.contract import routes
from tests.support.answering import Answer, asking, text

PAGE = text("<html>Welcome</html>")
LOST = text("", 404)
LOGIN = text("", 302, Location="/login")
LIST = text('[{"id": "a", "status": 1}]')
FEED = text('{"epoch": "e", "cursor": "e:0", "gap": false, "changes": []}')
NEW, OLD = routes.SERVERS + routes.INSTANCES, routes.SERVERS_ALIAS + routes.INSTANCES
NONE = text("[]")


def by_path(answers: Mapping[str, Answer], otherwise: Answer) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await answers.get(request.path, otherwise)(request)

    return answer


async def found(answer: Answer) -> ControlPlane:
    async with asking(answer) as http:
        return await connect(http, poll_interval=0.1)


@pytest.mark.parametrize("otherwise", [LOST, text("", 405), PAGE, LOGIN, text("{}"), text("7")])
@pytest.mark.parametrize("path", [NEW, OLD])
async def test_the_spelling_is_that_under_which_there_is_a_list(
    path: str, otherwise: Answer
) -> None:
    plane = await found(by_path({path: LIST, routes.RECENT_CHANGES: NONE}, otherwise))
    assert (plane.capabilities.native, plane.capabilities.base + routes.INSTANCES) == (False, path)
    assert not any("recent changes" in each for each in plane.capabilities.missing)


async def test_a_change_feed_is_ours() -> None:
    assert (await found(by_path({routes.CHANGES: FEED}, PAGE))).capabilities.native


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(PAGE, GarbageError, id="a page for everything"),
        pytest.param(LOGIN, GarbageError, id="elsewhere for everything"),
        pytest.param(text("", 503), RefusedError, id="in trouble"),
        pytest.param(
            by_path({routes.CHANGES: text('{"cursor": ')}, LIST), GarbageError, id="a garbled feed"
        ),
        pytest.param(
            by_path({routes.CHANGES: text("", 500)}, LIST), RefusedError, id="a feed in trouble"
        ),
    ],
)
async def test_what_proves_nothing_is_not_taken_for_a_control_plane(
    answer: Answer, kind: type[ControlPlaneError]
) -> None:
    with pytest.raises(kind):
        await found(answer)


@pytest.mark.parametrize("lacking", [LOST, PAGE])
async def test_who_tells_no_changes_is_asked_for_the_list_instead(lacking: Answer) -> None:
    asked: list[str] = []
    answers = {NEW: LIST}

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await by_path(answers, lacking)(request)

    async with asking(answer) as http:
        plane = await connect(http, poll_interval=0.01)
        assert any("recent changes" in each for each in plane.capabilities.missing)
        asked.clear()
        assert (await plane.changes("", 25)).changes == []
        assert asked == [NEW]
        del answers[NEW]
        with pytest.raises(ControlPlaneError):
            await plane.changes("", 25)


async def test_a_server_that_comes_back_with_the_other_spelling_is_found_again() -> None:
    answers = {NEW: LIST}
    configuration = text('{"port": 8080}')

    async def answer(request: web.Request) -> web.StreamResponse:
        is_known = request.path.startswith(routes.CONFIGURATION)
        return await by_path(answers, configuration if is_known else LOST)(request)

    async with asking(answer) as http:
        plane = await connect(http, poll_interval=0.1)
        answers.clear()
        with pytest.raises(RefusedError):
            await plane.fleet()
        answers[OLD] = LIST
        listed = await plane.fleet()
        assert listed is not None and [each.id for each in listed.states] == ["a"]
        assert plane.capabilities.base == routes.SERVERS_ALIAS
        assert (await plane.fleet()) is not None
