"""The API's description names what each operation reads: seen from how it takes what is wrong."""

from typing import Any

import pytest

from tests.support.control_plane import World

HEADERS = {
    "Draas-Fence": "x",
    "Draas-Enum-Format": "x",
    "Idempotency-Key": "",
    "If-Match": '"999"',
    "If-None-Match": "*",
}
QUERY = (
    "after",
    "wait",
    "limit",
    "view",
    "label",
    "keepDesiredRunState",
    "drainSeconds",
    "since",
    "statusFilter",
    "enumFormat",
)
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/api/servers/instances"): {"name": "n"},
    ("put", "/api/servers/instances/{id}/status"): "Created",
    ("patch", "/api/servers/instances/{id}"): {},
    ("put", "/api/servers/instances/{id}/traffic"): {"weights": {"main": 100}},
    ("patch", "/api/configuration/instances/{id}"): [],
    ("put", "/api/configuration/instances/{id}"): {},
    ("patch", "/api/servers/instances/{id}/configuration/server"): [],
    ("patch", "/api/servers/instances/{id}/server-configuration"): [],
    ("put", "/api/servers/instances/{id}/configuration/server/{field}"): "info",
    ("post", "/api/status/updates"): {"instanceId": "a", "status": "Created", "source": "s"},
}
NAMES = {"id": "a", "generation": 1, "field": "loglevel", "name": "second", "host": "h"}


async def document(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (await world.client.get("/openapi/v1.json")).json()
    return found


async def operations(world: World) -> list[tuple[str, str, dict[str, Any]]]:
    paths = (await document(world))["paths"]
    return [(method, path, told) for path in paths for method, told in paths[path].items()]


async def ask(world: World, method: str, path: str, **sent: Any) -> Any:
    """Ask, with what else the operation needs."""
    if (await world.client.get("/api/servers/instances/a")).status_code == 404:
        await world.create(id="a")
    if "content" not in sent and (method, path) in BODIES:
        sent["json"] = BODIES[method, path]
    return await world.client.request(method, path.format(**NAMES), **sent)


def described(told: dict[str, Any]) -> set[str]:
    return {each["$ref"].rpartition("/")[2] for each in told["parameters"] if "$ref" in each}


def minds(answer: Any, name: str) -> bool:
    """Whether the answer is about this header or parameter."""
    if answer.status_code in (304, 412):
        return True
    kind = answer.headers.get("content-type")
    return kind == "application/problem+json" and answer.json().get("parameter") == name


async def test_headers(world: World) -> None:
    for method, path, told in await operations(world):
        read = {
            name
            for name, value in HEADERS.items()
            if minds(await ask(world, method, path, headers={name: value}), name)
        }
        assert read == described(told) & HEADERS.keys(), (method, path)
        named = described(told) & {"Draas-Actor", "Draas-Operation"}
        assert len(named) == (0 if method == "get" else 2), (method, path)


async def test_query_parameters(world: World) -> None:
    for method, path, told in await operations(world):
        read = {
            name
            for name in QUERY
            if minds(await ask(world, method, path, params={name: "~"}), name)
        }
        assert read == described(told) & set(QUERY), (method, path)


async def test_bodies(world: World) -> None:
    for method, path, told in await operations(world):
        headers = {"content-type": "application/json"}
        answer = await ask(world, method, path, content=b"{", headers=headers)
        reads = answer.status_code == 400 and answer.json()["type"].endswith("malformed-body")
        assert reads == ("requestBody" in told), (method, path)
        for media_type in told.get("requestBody", {"content": {}})["content"]:
            headers = {"content-type": media_type}
            answer = await ask(world, method, path, content=b"{", headers=headers)
            assert answer.status_code == 400, (method, path, media_type)
        if reads:
            without = await world.client.request(method, path.format(**NAMES))
            needed = without.status_code == 400 and "body" in without.json()["detail"]
            assert needed == told["requestBody"]["required"], (method, path)


async def test_every_answer_has_a_shape(world: World) -> None:
    for method, path, told in await operations(world):
        for status, response in told["responses"].items():
            bare = status in ("204", "304") or path == "/api/status/updates"
            for content in response.get("content", {}).values():
                assert content["schema"], (method, path)
            assert ("content" in response) != bare or status == "default", (method, path)


@pytest.mark.parametrize("kind", ["schemas", "parameters"])
async def test_every_reference_resolves(world: World, kind: str) -> None:
    known = (await document(world))["components"][kind]
    text = (await world.client.get("/openapi/v1.json")).text
    named = {part.partition('"')[0] for part in text.split(f'"#/components/{kind}/')[1:]}
    assert named <= known.keys()
