"""Who may ask: this machine's own programs and our own page, and no other page."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from draas.contract.same_origin import SameOrigin


async def ask(headers: dict[str, str], *, any_host: bool = False) -> httpx.Response:
    async def served(request: Request) -> Response:
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/", served, methods=["GET", "POST"])])
    transport = httpx.ASGITransport(SameOrigin(app, any_host=any_host))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:5000") as client:
        return await client.post("/", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a program"),
        pytest.param({"Host": "localhost:5000"}, id="localhost"),
        pytest.param({"Host": "[::1]:5000"}, id="IPv6"),
        pytest.param({"Origin": "http://127.0.0.1:5000"}, id="our own page"),
        pytest.param({"Sec-Fetch-Site": "same-origin"}, id="our own page, as browsers say it"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="typed in by a person"),
    ],
)
async def test_served(headers: dict[str, str]) -> None:
    assert (await ask(headers)).text == "done"


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        pytest.param({"Sec-Fetch-Site": "cross-site"}, "another site", id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, "another site", id="another local port"),
        pytest.param({"Origin": "http://evil.example"}, "evil.example", id="another origin"),
        pytest.param({"Origin": "null"}, "null", id="a page without an origin"),
        pytest.param({"Origin": "http://127.0.0.1:3000"}, ":3000", id="origin on another port"),
        pytest.param({"Host": "rebound.example:5000"}, "rebound.example", id="a rebound name"),
        pytest.param({"Host": ""}, "127.0.0.1", id="no host"),
        pytest.param({"Host": "127.0.0.1.evil.example"}, "evil.example", id="a lookalike"),
    ],
)
async def test_refused(headers: dict[str, str], names: str) -> None:
    answer = await ask(headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:draas:problem:cross-site-request"
    assert names in answer.json()["detail"]


async def test_a_deliberately_remote_api_has_any_name_and_still_no_foreign_pages() -> None:
    assert (await ask({"Host": "draas.example"}, any_host=True)).status_code == 200
    foreign = {"Host": "draas.example", "Origin": "http://evil.example"}
    assert (await ask(foreign, any_host=True)).status_code == 403
