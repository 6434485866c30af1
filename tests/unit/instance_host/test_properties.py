"""Properties of the host's own kinds that are refused, by name."""

from __future__ import annotations

from typing import Any

import pytest

from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError
from draas.instance_host.reactions import make_sink
from draas.instance_host.sources import make_feeder
from draas.testing.virtual_time import VirtualClock


async def _nowhere(change: Change) -> None:
    raise AssertionError(change)


def _ignore(message: str) -> None:
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("kind", "properties", "named"),
    [
        pytest.param("mock", {"dataType": {"type": ["x"]}}, "dataType.type: ", id="type is a list"),
        pytest.param("mock", {"dataType": 5}, "dataType.type: ", id="data type is a number"),
        pytest.param("mock", {"intervalMs": 0}, "intervalMs: ", id="interval"),
        pytest.param("http", {"port": 0}, "port: ", id="port"),
    ],
)
def test_bad_properties_of_sources_are_refused(
    kind: str, properties: dict[str, Any], named: str
) -> None:
    with pytest.raises(ApiError, match=named):
        make_feeder(kind, "s", properties, own=_nowhere, taken=_nowhere, clock=VirtualClock())


@pytest.mark.parametrize(
    ("kind", "properties", "named"),
    [
        pytest.param("sse", {"ssePath": "q"}, "ssePath: ", id="path without a slash"),
        pytest.param("sse", {"ssePath": "/{q}"}, "ssePath: ", id="path with braces"),
        pytest.param("sse", {"ssePath": "/q?x"}, "ssePath: ", id="path with parameters"),
        pytest.param("sse", {"ssePath": "/q#x"}, "ssePath: ", id="path with a fragment"),
        pytest.param("sse", {"ssePath": "/%71"}, "ssePath: ", id="path that is encoded"),
        pytest.param("http", {"baseUrl": "ftp://x"}, "baseUrl: ", id="scheme"),
        pytest.param("http", {"baseUrl": ["x"]}, "baseUrl: ", id="base is a list"),
        pytest.param("http", {"baseUrl": "http://x", "routes": 5}, "routes: ", id="routes"),
        pytest.param("log", {"routes": [1]}, "routes: ", id="log's routes"),
        pytest.param(
            "log",
            {"routes": {"q": {"inserted": "x"}}},
            r"routes.q.inserted: ",
            id="log's operation",
        ),
        pytest.param(
            "http",
            {"baseUrl": "http://x", "outputTemplates": {"ad": {}}},
            "outputTemplates.ad: ",
            id="operation for all",
        ),
        pytest.param(
            "http",
            {"baseUrl": "http://x", "outputTemplates": {"routes": {"q": {"ad": {}}}}},
            "outputTemplates.routes.q.ad: ",
            id="operation of a query",
        ),
        pytest.param(
            "http",
            {"baseUrl": "http://x", "outputTemplates": {"routes": {}, "add": {}}},
            "outputTemplates.add: ",
            id="both shapes at once",
        ),
        pytest.param(
            "http",
            {"baseUrl": "http://x", "routes": {"q": {"added": {"uri": "/x"}}}},
            "routes.q.added.uri: ",
            id="key of a call",
        ),
        pytest.param(
            "sse", {"defaultTemplate": {"x": {}}}, "defaultTemplate.x: ", id="sse's operation"
        ),
        pytest.param(
            "sse",
            {"routes": {"q": {"added": {"path": "/{{after.n}}"}}}},
            "routes.q.added.path: ",
            id="path that varies",
        ),
    ],
)
def test_bad_properties_of_reactions_are_refused(
    kind: str, properties: dict[str, Any], named: str
) -> None:
    with pytest.raises(ApiError, match=named):
        make_sink(kind, "r", properties, VirtualClock(), _ignore)
