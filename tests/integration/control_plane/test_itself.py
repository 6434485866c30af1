"""Probes, metrics, and the API's description, which works without internet."""

import re
import sqlite3

import pytest

from tests.support.control_plane import World


@pytest.mark.parametrize("path", ["/health", "/ready", "/Health"])
async def test_probes(world: World, path: str) -> None:
    assert (await world.client.get(path)).status_code == 200


async def test_a_store_that_fails_is_said_and_nothing_changes(world: World) -> None:
    await world.create(id="a")
    holder = sqlite3.connect(world.database, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        answer = await world.client.patch(
            "/api/configuration/instances/a",
            json=[{"op": "replace", "path": "/logLevel", "value": "debug"}],
        )
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:draas:problem:store-unavailable"
        assert "SELECT" not in answer.text
        assert (await world.state("a"))["generation"] == 1
    finally:
        holder.close()
    again = await world.client.patch(
        "/api/configuration/instances/a",
        json=[{"op": "replace", "path": "/logLevel", "value": "debug"}],
    )
    assert again.status_code == 202
    assert (await world.state("a"))["generation"] == 2


@pytest.mark.parametrize(
    "path", ["/health", "/ready", "/metrics", "/api/servers/instances/a", "/openapi/v1.json", "/no"]
)
async def test_head_is_a_get_without_its_content(world: World, path: str) -> None:
    await world.create(id="a")
    answer = await world.client.get(path)
    head = await world.client.head(path)
    assert (head.status_code, head.content) == (answer.status_code, b"")
    kept = ("content-type", "etag", "vary")
    assert [head.headers.get(name) for name in kept] == [answer.headers.get(n) for n in kept]
    assert (await world.client.get("/health")).json() == {"status": "ok"}


async def test_metrics(world: World) -> None:
    await world.create(id="a")
    await world.client.post("/api/servers/instances/a/start")
    text = (await world.client.get("/metrics")).text
    assert 'draas_control_plane_instances{status="Running"} 1.0' in text
    assert 'draas_control_plane_operations_total{operation="start",outcome="success"} 1.0' in text
    assert 'route="/api/servers/instances/{id}/start",status="200"} 1.0' in text


async def test_the_description_names_every_route_and_resolves(world: World) -> None:
    document = (await world.client.get("/openapi/v1.json")).json()
    assert document["openapi"].startswith("3.1")
    text = (await world.client.get("/openapi/v1.json")).text
    schemas = document["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) <= set(schemas)
    patch = document["paths"]["/api/configuration/instances/{id}"]["patch"]
    assert set(patch["requestBody"]["content"]) == {
        "application/json-patch+json",
        "application/json",
    }
    assert patch["parameters"][0] == {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }


async def test_the_description_tells_what_each_read_answers(world: World) -> None:
    await world.create(id="a")
    document = (await world.client.get("/openapi/v1.json")).json()
    wanted = {"/api/configurations": "application/x-ndjson", "/metrics": "text/plain"}
    for path in document["paths"]:
        if "get" not in document["paths"][path]:
            continue
        answer = await world.client.get(path.format(id="a", generation=1))
        told = document["paths"][path]["get"]["responses"]
        media_type = answer.headers["content-type"].split(";")[0]
        assert media_type in told.get(str(answer.status_code), told["default"])["content"], path
        assert media_type in (wanted.get(path, "application/json"), "application/problem+json")
    update = {"instanceId": "a", "status": "Stopped", "source": "s"}
    updated = await world.client.post("/api/status/updates", json=update)
    told = document["paths"]["/api/status/updates"]["post"]["responses"]
    assert (updated.content, "content" in told["202"]) == (b"", False)


async def test_the_page_needs_no_internet(world: World) -> None:
    page = (await world.client.get("/docs")).text
    assert re.findall(r"https?://[^\"']+", page) == []
    for path in re.findall(r"(?:src|href)=\"([^\"]+)\"", page):
        found = await world.client.get(path)
        assert (found.status_code, len(found.content) > 500) == (200, True), path


@pytest.mark.parametrize("path", ["/", "/scalar/v1", "/swagger", "/Swagger"])
async def test_other_pages_lead_to_ours(world: World, path: str) -> None:
    answer = await world.client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
