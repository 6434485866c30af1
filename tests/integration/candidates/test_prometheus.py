"""Counters out of a server that answers as Prometheus does."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from draas.adapters.candidates.address import open_session
from draas.adapters.prometheus import Prometheus, Queries
from draas.client.port import ControlPlaneError, GarbageError, RefusedError
from draas.model.slots import Counters, Traffic
from draas.reconciliation.slot_options import AnalysisOptions
from tests.integration.candidates.small_server import Answer, serving

OPTIONS = AnalysisOptions()
QUERIES = Queries(OPTIONS.requests_query, OPTIONS.errors_query, OPTIONS.latency_query)
COUNTED = Traffic(
    at="now", slots={"main": Counters(requests=1, healthy=False, retries=7, mirror_failures=2)}
)


def vector(*samples: tuple[dict[str, str], str]) -> dict[str, Any]:
    result = [{"metric": metric, "value": [1.0, value]} for metric, value in samples]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


async def counted(answer: Answer) -> Counters:
    async with serving(answer) as port, open_session() as session:
        prometheus = Prometheus(session, f"http://127.0.0.1:{port}/", QUERIES)
        return (await prometheus.counters('o"x', COUNTED)).slots["main"]


async def test_totals_and_buckets_replace_those_of_the_router() -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> Any:
        query = request.query["query"]
        asked.append(query)
        if "time_bucket" in query:
            return vector(({"le": "+Inf"}, "300"), ({"le": "25"}, "290"), ({"le": "5"}, "10"))
        return vector(({}, "12")) if "rq_xx" in query else vector(({}, "300"))

    found = await counted(answer)
    assert (found.requests, found.errors) == (300, 12)
    assert found.latency == [(5.0, 10), (25.0, 290), (None, 300)]
    assert (found.healthy, found.retries, found.mirror_failures) == (False, 7, 2)
    assert 'sum(envoy_cluster_upstream_rq_completed{envoy_cluster_name="o\\"x/main"})' in asked


async def test_a_slot_that_was_never_scraped_has_nothing() -> None:
    found = await counted(lambda _: vector())
    assert (found.requests, found.errors, found.latency) == (0, 0, [])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(
            lambda _: web.json_response({"status": "error", "error": "parse error"}, status=400),
            RefusedError,
            id="a bad query",
        ),
        pytest.param(lambda _: web.Response(text="<html>"), GarbageError, id="no JSON"),
        pytest.param(
            lambda _: {"status": "success", "data": {"resultType": "matrix", "result": []}},
            GarbageError,
            id="no vector",
        ),
        pytest.param(lambda _: vector(({}, "NaN"), ({"x": "y"}, "bad")), GarbageError, id="value"),
    ],
)
async def test_what_makes_no_sense_is_no_number(
    answer: Answer, error: type[ControlPlaneError]
) -> None:
    with pytest.raises(error):
        await counted(answer)
