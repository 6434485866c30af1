"""What is asked of a candidate itself, over HTTP, and what its answers are taken for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from draas.adapters.candidates.address import open_session
from draas.adapters.candidates.probe import probe
from draas.adapters.candidates.smoke_tests import smoke_test
from draas.decide.health import Probed
from draas.model.slots import Slot
from draas.reconciliation.smoke_tests import (
    CommandTest,
    HttpTest,
    QueryTest,
    SmokeTest,
    SmokeTestsError,
    read_smoke_tests,
)
from tests.integration.candidates.small_server import Answer, serving

BASE = "/api/v1/instances/a%20b"


def slot(port: int) -> Slot:
    return Slot(name="second", role="candidate", host="0.0.0.0", port=port)


def answers(**paths: Any) -> Answer:
    table = {"/health": {}, **{f"{BASE}/{name}": value for name, value in paths.items()}}

    def answer(request: web.Request) -> Any:
        return table.get(request.rel_url.raw_path, web.Response(status=404))

    return answer


def listed(**statuses: str) -> dict[str, Any]:
    rows = [{"id": id, "status": status} for id, status in statuses.items()]
    return {"success": True, "data": rows, "error": None}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            answers(sources=listed(s="Running", __own="Error"), queries=listed(q="Error")),
            Probed(True, True, "", {"s": "Running"}, {"q": "Error"}),
            id="components",
        ),
        pytest.param(
            lambda _: web.Response(status=503),
            Probed(True, False, "/health answers 503"),
            id="not healthy",
        ),
        pytest.param(
            answers(sources={"data": "nonsense"}),
            Probed(True, True, "GET /sources answered no list of components"),
            id="nonsense",
        ),
    ],
)
async def test_probe(answer: Answer, expected: Probed) -> None:
    async with serving(answer) as port, open_session() as session:
        assert await probe(session, "a b", slot(port)) == expected


async def test_nobody_listens() -> None:
    async with serving(answers()) as port:
        pass
    async with open_session() as session:
        found = await probe(session, "a b", slot(port))
    assert (found.listens, found.answers) == (False, None)


ROWS = {"success": True, "data": [{"n": 2}, {"n": 1}]}
PYTHON = sys.executable


@pytest.mark.parametrize(
    ("test", "failed"),
    [
        pytest.param(HttpTest(name="t", expect_body="{}"), "", id="http"),
        pytest.param(HttpTest(name="t", path="/no"), "answered 404 instead of 200", id="status"),
        pytest.param(HttpTest(name="t", expect_body="yes"), "does not hold 'yes'", id="body"),
        pytest.param(
            CommandTest(name="t", command=[PYTHON, "-c", "raise SystemExit({port} < 1)"]),
            "",
            id="command",
        ),
        pytest.param(
            CommandTest(name="t", command=[PYTHON, "-c", "print('no luck'); raise SystemExit(3)"]),
            "ended with 3 instead of 0: no luck",
            id="exit code",
        ),
        pytest.param(
            CommandTest(name="t", command=["sh", "-c", "sleep 60 & wait"], timeout_seconds=0.3),
            "did not end in 0.3 s",
            id="too long",
        ),
        pytest.param(
            CommandTest(name="t", command=["/no/such/program"]), "cannot be run", id="no program"
        ),
        pytest.param(
            CommandTest(name="t", command=[PYTHON, "-c", "print('x' * 10_000_000)"]),
            "",
            id="a lot of output",
        ),
        pytest.param(QueryTest(name="t", query="q", minimum_rows=2), "", id="rows"),
        pytest.param(QueryTest(name="t", query="q", rows=[{"n": 1}, {"n": 2}]), "", id="any order"),
        pytest.param(
            QueryTest(name="t", query="q", rows=[{"n": 1.0}, {"n": 2}]), "", id="the same number"
        ),
        pytest.param(
            QueryTest(name="t", query="q", minimum_rows=3, timeout_seconds=0.3),
            "has 2 rows; expected are 3 at least",
            id="too few rows",
        ),
        pytest.param(
            QueryTest(name="t", query="q", rows=[{"n": 1}, {"n": 9}], timeout_seconds=0.3),
            'has other rows (2) than the 2 that are expected; {"n":2} is not expected; {"n":9} is',
            id="other rows",
        ),
        pytest.param(
            QueryTest(name="t", query="nope", timeout_seconds=0.3), "answered 404", id="no query"
        ),
    ],
)
async def test_smoke_tests(test: SmokeTest, failed: str) -> None:
    answer = answers(**{"queries/q/results": ROWS})
    async with serving(answer) as port, open_session() as session:
        found = await smoke_test(session, (test,), "a b", slot(port))
    assert len(found) == bool(failed), found
    assert failed in "".join(found)


def test_the_file_that_is_given_as_an_example_is_one() -> None:
    found = read_smoke_tests(str(Path(__file__).parents[3] / "examples" / "smoke-tests.json"))
    assert [type(each) for each in found] == [HttpTest, CommandTest, QueryTest]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param('[{"kind": "http", "name": "t"}]', "", id="valid"),
        pytest.param('[{"kind": "ftp", "name": "t"}]', "Invalid value 'ftp'", id="unknown kind"),
        pytest.param('[{"kind": "http", "name": "t", "x": 1}]', "unknown field `x`", id="field"),
        pytest.param('[{"kind": "command", "name": "t", "command": []}]', "is empty", id="empty"),
        pytest.param(
            '[{"kind": "http", "name": "t", "timeoutSeconds": 0}]', "timeoutSeconds", id="no time"
        ),
        pytest.param("nonsense", "malformed", id="no JSON"),
    ],
)
def test_the_file_of_smoke_tests(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "tests.json"
    path.write_text(text)
    if fault:
        with pytest.raises(SmokeTestsError, match=fault):
            read_smoke_tests(str(path))
    else:
        assert len(read_smoke_tests(str(path))) == 1
