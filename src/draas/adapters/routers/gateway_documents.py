"""Routes as HTTPRoute objects of the Kubernetes Gateway API, and what their status says."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from draas.control_plane.router import Route, RouterError

VERSION: Final = "gateway.networking.k8s.io/v1"
MANAGED: Final = {"app.kubernetes.io/managed-by": "draas"}
ANNOTATION: Final = "draas/route"

Document = dict[str, Any]
Patch = list[Document]

_REFERENCES = "/spec/rules/0/backendRefs"


def object_name(route: str) -> str:
    """The name of a route's object: any text becomes one that Kubernetes takes."""
    return f"draas-{sha256(route.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}"


def references(route: Route, weights: Mapping[str, int]) -> list[Document]:
    """The services of a route, by the names of its backends."""
    return [
        {"name": address.host, "port": address.port, "weight": weights.get(backend, 0)}
        for backend, address in sorted(route.backends.items())
    ]


def http_route(route: Route, gateway: str) -> Document:
    """The object of a route that has none yet."""
    return {
        "apiVersion": VERSION,
        "kind": "HTTPRoute",
        "metadata": {
            "name": object_name(route.name),
            "labels": dict(MANAGED),
            "annotations": {ANNOTATION: route.name},
        },
        "spec": _specification(route, gateway),
    }


def patch(found: Mapping[str, Any], route: Route, gateway: str) -> Patch:
    """What makes the object found the route's; nothing where it is.

    A change of weights alone names each service that it believes to change: where somebody put
    another one there, the server refuses the whole of it.
    """
    wanted = _specification(route, gateway)
    have = found["spec"]
    rules, parents = have.get("rules", [{}]), have.get("parentRefs", [])
    present = rules[0].get("backendRefs", []) if len(rules) == 1 else []
    target = wanted["rules"][0]["backendRefs"]
    if _services(present) != _services(target) or not _includes(parents, wanted["parentRefs"]):
        version = found["metadata"]["resourceVersion"]
        return [
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/spec/parentRefs", "value": wanted["parentRefs"]},
            {"op": "replace", "path": "/spec/rules", "value": wanted["rules"]},
        ]
    steps: Patch = []
    for index, (old, new) in enumerate(zip(present, target, strict=True)):
        if old.get("weight", 1) != new["weight"]:
            path = f"{_REFERENCES}/{index}"
            steps += [
                {"op": "test", "path": f"{path}/name", "value": new["name"]},
                {"op": "replace", "path": f"{path}/weight", "value": new["weight"]},
            ]
    return steps


def leaving(found: Mapping[str, Any], route: Route) -> Patch:
    """What takes the weight of those services that are not the route's any more."""
    keep = _services(references(route, {}))
    present = found["spec"].get("rules", [{}])[0].get("backendRefs", [])
    steps: Patch = []
    for index, each in enumerate(present):
        if (each["name"], each.get("port")) not in keep and each.get("weight", 1):
            path = f"{_REFERENCES}/{index}"
            steps += [
                {"op": "test", "path": f"{path}/name", "value": each["name"]},
                {"op": "replace", "path": f"{path}/weight", "value": 0},
            ]
    return steps


def waits_for(found: Mapping[str, Any], gateway: str) -> str | None:
    """What the gateway has not said yet of the present generation; `None` once it is live.

    A condition of an older generation says nothing about this one.

    Raises:
        RouterError: the gateway refuses it, with its words.
    """
    generation = found["metadata"]["generation"]
    parents = found.get("status", {}).get("parents", [])
    conditions = {
        each["type"]: each
        for parent in parents
        if parent["parentRef"]["name"] == gateway
        for each in parent.get("conditions", [])
        if each.get("observedGeneration") == generation
    }
    for kind in ("Accepted", "ResolvedRefs"):
        condition = conditions.get(kind)
        if condition is None:
            return f"gateway {gateway!r} has not said {kind} of generation {generation}"
        if condition["status"] == "False":
            raise RouterError(f"not {kind}: {condition['reason']}: {condition['message']}")
        if condition["status"] != "True":
            return f"{kind} is {condition['status']}: {condition['message']}"
    return None


def _specification(route: Route, gateway: str) -> Document:
    return {
        "parentRefs": [{"name": gateway, "port": route.listen.port}],
        "rules": [{"backendRefs": references(route, route.weights)}],
    }


def _services(found: list[Document]) -> list[tuple[str, int | None]]:
    return [(each["name"], each.get("port")) for each in found]


def _includes(found: list[Document], wanted: list[Document]) -> bool:
    """Whether the parents are those wanted; a server adds members, such as kind and group."""
    return len(found) == len(wanted) and all(
        wanted_parent.items() <= parent.items()
        for parent, wanted_parent in zip(found, wanted, strict=True)
    )
