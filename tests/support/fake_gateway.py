"""An API server of Kubernetes that knows HTTPRoutes, with a gateway that takes its time."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
from aiohttp import web

PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/fleet/httproutes"


class FakeGateway:
    """Answers as a server does: it fills in defaults, versions and generations, and judges patches.

    A change is `lag` reads old before the gateway speaks of it; a service that is not among
    `services` is refused.
    """

    def __init__(self, services: set[str]) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.services = services
        self.lag = 2
        self.patches: list[list[dict[str, Any]]] = []
        self.authorizations: set[str | None] = set()
        self._version = 1000
        self._unseen: dict[str, int] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(PATH, self._list)
        app.router.add_post(PATH, self._create)
        app.router.add_get(f"{PATH}/{{name}}", self._read)
        app.router.add_patch(f"{PATH}/{{name}}", self._patch)
        app.router.add_delete(f"{PATH}/{{name}}", self._delete)
        return app

    def weights(self, name: str) -> dict[str, int]:
        references = self.objects[name]["spec"]["rules"][0]["backendRefs"]
        return {each["name"]: each["weight"] for each in references}

    async def _list(self, request: web.Request) -> web.Response:
        label = dict([request.query["labelSelector"].split("=")])
        found = [
            each
            for each in self.objects.values()
            if label.items() <= each["metadata"].get("labels", {}).items()
        ]
        return web.json_response({"kind": "HTTPRouteList", "items": found})

    async def _create(self, request: web.Request) -> web.Response:
        document = await request.json()
        name = document["metadata"]["name"]
        if name in self.objects:
            return _failure(409, "AlreadyExists", f"httproutes {name!r} already exists")
        document["metadata"] |= {"namespace": "fleet", "generation": 0}
        self.objects[name] = document
        self._changed(name)
        return web.json_response(self.objects[name], status=201)

    async def _read(self, request: web.Request) -> web.Response:
        self.authorizations.add(request.headers.get("authorization"))
        name = request.match_info["name"]
        if name not in self.objects:
            return _failure(404, "NotFound", f"httproutes {name!r} not found")
        self._unseen[name] = self._unseen.get(name, 0) - 1
        if self._unseen[name] == 0:
            self._judge(self.objects[name])
        return web.json_response(self.objects[name])

    async def _patch(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if request.content_type != "application/json-patch+json":
            return _failure(415, "UnsupportedMediaType", request.content_type)
        steps = json.loads(await request.read())
        try:
            changed = jsonpatch.apply_patch(copy.deepcopy(self.objects[name]), steps)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            return _failure(422, "Invalid", f"the server rejected our request: {error}")
        self.patches.append(steps)
        self.objects[name] = changed
        self._changed(name)
        return web.json_response(self.objects[name])

    async def _delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if self.objects.pop(name, None) is None:
            return _failure(404, "NotFound", f"httproutes {name!r} not found")
        return web.json_response({"kind": "Status", "status": "Success"})

    def _changed(self, name: str) -> None:
        document = self.objects[name]
        self._version += 1
        self._unseen[name] = self.lag
        document["metadata"]["resourceVersion"] = str(self._version)
        document["metadata"]["generation"] += 1
        for parent in document["spec"]["parentRefs"]:
            parent.setdefault("group", "gateway.networking.k8s.io")
            parent.setdefault("kind", "Gateway")
        for rule in document["spec"]["rules"]:
            rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}])
            for reference in rule["backendRefs"]:
                reference |= {"group": "", "kind": "Service", "weight": reference.get("weight", 1)}

    def _judge(self, document: dict[str, Any]) -> None:
        generation = document["metadata"]["generation"]
        used = {each["name"] for each in document["spec"]["rules"][0]["backendRefs"]}
        missing = sorted(used - self.services)
        resolved = {"status": "True", "reason": "ResolvedRefs", "message": ""}
        if missing:
            message = f"Service fleet/{missing[0]} not found"
            resolved = {"status": "False", "reason": "BackendNotFound", "message": message}
        accepted = {"status": "True", "reason": "Accepted", "message": "Route is accepted"}
        conditions = [
            {"type": kind, "observedGeneration": generation, **found}
            for kind, found in (("Accepted", accepted), ("ResolvedRefs", resolved))
        ]
        document["status"] = {
            "parents": [
                {
                    "parentRef": parent,
                    "controllerName": "example.com/gateway",
                    "conditions": [
                        each | {"observedGeneration": generation} for each in conditions
                    ],
                }
                for parent in document["spec"]["parentRefs"]
            ]
        }


def _failure(code: int, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "status": "Failure", "reason": reason, "code": code}
    return web.json_response(status | {"message": message}, status=code)
