"""Routes as HTTPRoute objects: what is sent, and what an API server's answers mean."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
from aiohttp.test_utils import TestServer

from draas.adapters.routers.gateway_api import GatewayApiRouter
from draas.adapters.routers.gateway_documents import object_name, patch, waits_for
from draas.control_plane.router import Address, Route, RouterError
from tests.support.fake_gateway import FakeGateway

RECORDED = json.loads(Path(__file__).with_name("recorded").joinpath("httproute.json").read_bytes())
ROUTE = Route(
    "i1",
    Address("0.0.0.0", 8081),
    {"main": Address("i1-main", 8080), "second": Address("i1-second", 8080)},
    {"main": 100, "second": 0},
)
NAME = object_name("i1")


def recorded(**condition: Any) -> dict[str, Any]:
    """The recorded object with another condition ResolvedRefs."""
    document = copy.deepcopy(RECORDED)
    document["status"]["parents"][0]["conditions"][1] |= condition
    return document


def test_what_is_as_it_should_be_gets_no_patch() -> None:
    assert patch(RECORDED, ROUTE, "edge") == []
    assert waits_for(RECORDED, "edge") is None


def test_a_weight_is_replaced_where_the_service_is_the_one_believed() -> None:
    steps = patch(RECORDED, replace(ROUTE, weights={"main": 75, "second": 25}), "edge")
    assert [(each["op"], each["path"], each["value"]) for each in steps] == [
        ("test", "/spec/rules/0/backendRefs/0/name", "i1-main"),
        ("replace", "/spec/rules/0/backendRefs/0/weight", 75),
        ("test", "/spec/rules/0/backendRefs/1/name", "i1-second"),
        ("replace", "/spec/rules/0/backendRefs/1/weight", 25),
    ]
    changed = jsonpatch.apply_patch(RECORDED, steps)
    assert [each["weight"] for each in changed["spec"]["rules"][0]["backendRefs"]] == [75, 25]
    swapped = copy.deepcopy(RECORDED)
    swapped["spec"]["rules"][0]["backendRefs"].reverse()
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(swapped, steps)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(recorded(observedGeneration=3), "has not said ResolvedRefs", id="old"),
        pytest.param(recorded(status="Unknown", message="busy"), "is Unknown: busy", id="unknown"),
        pytest.param({**RECORDED, "status": {}}, "has not said Accepted", id="silent"),
    ],
)
def test_what_is_waited_for(document: dict[str, Any], expected: str) -> None:
    assert expected in (waits_for(document, "edge") or "")


def test_another_gateways_word_does_not_count() -> None:
    assert "gateway 'core'" in (waits_for(RECORDED, "core") or "")


def test_a_refusal_is_told() -> None:
    refused = recorded(status="False", reason="BackendNotFound", message="Service x not found")
    with pytest.raises(RouterError, match="BackendNotFound: Service x not found"):
        waits_for(refused, "edge")


@pytest.fixture
async def gateway() -> FakeGateway:
    return FakeGateway({"i1-main", "i1-second", "i1-third"})


@pytest.fixture
async def router(gateway: FakeGateway, tmp_path: Path) -> AsyncIterator[GatewayApiRouter]:
    token = tmp_path / "token"
    token.write_text("secret\n")
    async with TestServer(gateway.app()) as server:
        router = GatewayApiRouter(str(server.make_url("/")), "fleet", "edge", token=token)
        yield router
        await router.close()


async def test_a_route_is_made_once(gateway: FakeGateway, router: GatewayApiRouter) -> None:
    await router.ensure(ROUTE)
    await router.ensure(ROUTE)
    assert gateway.weights(NAME) == {"i1-main": 100, "i1-second": 0}
    assert gateway.patches == []
    assert gateway.authorizations == {"Bearer secret"}


async def test_weights_move_live(gateway: FakeGateway, router: GatewayApiRouter) -> None:
    await router.ensure(ROUTE)
    await router.ensure(replace(ROUTE, weights={"main": 5, "second": 95}))
    assert gateway.weights(NAME) == {"i1-main": 5, "i1-second": 95}
    assert waits_for(gateway.objects[NAME], "edge") is None


async def test_a_backend_leaves_without_weight_first(
    gateway: FakeGateway, router: GatewayApiRouter
) -> None:
    await router.ensure(replace(ROUTE, weights={"main": 50, "second": 50}))
    third = {"main": Address("i1-main", 8080), "third": Address("i1-third", 8080)}
    await router.ensure(Route("i1", ROUTE.listen, third, {"third": 1}), drain=0)
    assert gateway.weights(NAME) == {"i1-main": 0, "i1-third": 1}
    first, second = gateway.patches
    assert [each["value"] for each in first] == ["i1-second", 0]
    assert second[0]["path"] == "/metadata/resourceVersion"


async def test_a_service_that_is_not_there(gateway: FakeGateway, router: GatewayApiRouter) -> None:
    gateway.services.discard("i1-second")
    with pytest.raises(RouterError, match="Service fleet/i1-second not found"):
        await router.ensure(ROUTE)


async def test_the_next_control_plane_removes_what_nobody_wants(
    gateway: FakeGateway, router: GatewayApiRouter
) -> None:
    foreign = {"metadata": {"name": "foreign", "labels": {}}, "spec": {}}
    gateway.objects["foreign"] = foreign
    await router.ensure(replace(ROUTE, name="gone"))
    bad = replace(ROUTE, name="bad", weights={})
    assert list(await router.open([ROUTE, bad])) == ["bad"]
    assert set(gateway.objects) == {NAME, "foreign"}
    await router.remove("i1")
    await router.remove("i1")
    assert set(gateway.objects) == {"foreign"}


async def test_what_it_cannot_do_is_refused(router: GatewayApiRouter) -> None:
    with pytest.raises(RouterError, match="known to the gateway only"):
        await router.traffic("i1")
    with pytest.raises(RouterError, match="mirrors"):
        await router.ensure(replace(ROUTE, mirrors=("second",)))
    with pytest.raises(RouterError, match="no backend of route 'i1' has a weight"):
        await router.ensure(replace(ROUTE, weights={"main": 0}))


async def test_a_server_that_is_not_there() -> None:
    router = GatewayApiRouter("http://127.0.0.1:1", "fleet", "edge", token=Path("/nowhere"))
    assert router.unavailable() == "there is no file '/nowhere'"
    with pytest.raises(RouterError, match="there is no file"):
        await router.ensure(ROUTE)
    router = GatewayApiRouter("http://127.0.0.1:1", "fleet", "edge")
    with pytest.raises(RouterError, match="does not answer"):
        await router.ensure(ROUTE)
    await router.close()
