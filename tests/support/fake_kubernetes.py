"""A Kubernetes API server that knows Leases only, and is as strict about them as a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web

BASE = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
Document = dict[str, Any]


class Refusal(Exception):  # noqa: N818  the server's answer, not a fault
    """A `Status` that says no."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


class FakeKubernetes:
    """Keeps Leases by namespace and name; while `broken`, it answers 500 to everything."""

    def __init__(self) -> None:
        self.leases: dict[tuple[str, str], Document] = {}
        self.broken = False
        self._versions = count(1)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The URL at which it answers."""
        app = web.Application(middlewares=[self._answered])
        app.router.add_get(BASE, self._list)
        app.router.add_post(BASE, self._create)
        app.router.add_get(BASE + "/{name}", self._get)
        app.router.add_put(BASE + "/{name}", self._replace)
        app.router.add_delete(BASE + "/{name}", self._delete)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _answered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        await asyncio.sleep(0)  # others get a turn, as they would on a network
        try:
            if self.broken:
                raise Refusal(500, "InternalError", "broken on purpose")
            response: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            status = {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": str(refusal),
                "reason": refusal.reason,
                "code": refusal.code,
            }
            return _json(status, refusal.code)
        return response

    async def _list(self, request: web.Request) -> web.Response:
        namespace = request.match_info["namespace"]
        selector = request.query.get("labelSelector", "")
        wanted = dict(each.split("=") for each in selector.split(",") if each)
        found = [
            lease
            for (of, _), lease in sorted(self.leases.items())
            if of == namespace and wanted.items() <= lease["metadata"].get("labels", {}).items()
        ]
        return _json(
            {
                "kind": "LeaseList",
                "apiVersion": "coordination.k8s.io/v1",
                "metadata": {"resourceVersion": str(next(self._versions))},
                "items": found,
            }
        )

    async def _create(self, request: web.Request) -> web.Response:
        given = await self._valid(request)
        key = (request.match_info["namespace"], given["metadata"]["name"])
        if given["metadata"].get("resourceVersion"):
            raise Refusal(400, "BadRequest", "resourceVersion should not be set to be created")
        if key in self.leases:
            raise Refusal(409, "AlreadyExists", f"leases {key[1]!r} already exists")
        return self._keep(key, given, 201)

    async def _get(self, request: web.Request) -> web.Response:
        return _json(self._present(request)[1])

    async def _replace(self, request: web.Request) -> web.Response:
        given = await self._valid(request)
        key, present = self._present(request)
        version = given["metadata"].get("resourceVersion")
        if not version:
            raise Refusal(422, "Invalid", "metadata.resourceVersion: must be specified for update")
        if version != present["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified; please apply again")
        return self._keep(key, given, 200)

    async def _delete(self, request: web.Request) -> web.Response:
        key, _ = self._present(request)
        del self.leases[key]
        return _json({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _present(self, request: web.Request) -> tuple[tuple[str, str], Document]:
        key = (request.match_info["namespace"], request.match_info["name"])
        if key not in self.leases:
            raise Refusal(404, "NotFound", f"leases {key[1]!r} not found")
        return key, self.leases[key]

    async def _valid(self, request: web.Request) -> Document:
        given: Document = await request.json()
        name, spec = given["metadata"]["name"], given["spec"]
        if not all(sign.isalnum() or sign in "-." for sign in name) or name != name.lower():
            raise Refusal(422, "Invalid", f"metadata.name: {name!r} is no DNS subdomain")
        if spec.get("leaseDurationSeconds", 1) <= 0:
            raise Refusal(422, "Invalid", "spec.leaseDurationSeconds must be greater than 0")
        if spec.get("leaseTransitions", 0) < 0:
            raise Refusal(422, "Invalid", "spec.leaseTransitions must be at least 0")
        return given

    def _keep(self, key: tuple[str, str], given: Document, code: int) -> web.Response:
        version = {"resourceVersion": str(next(self._versions)), "namespace": key[0]}
        self.leases[key] = given | {"metadata": given["metadata"] | version}
        return _json(self.leases[key], code)


def _json(content: Document, status: int = 200) -> web.Response:
    body = json.dumps(content).encode()
    return web.Response(body=body, status=status, content_type="application/json")


def kubeconfig(directory: Path, url: str, namespace: str) -> Path:
    """A kubeconfig that leads there."""
    file = directory / "kubeconfig"
    context = {"cluster": "fake", "user": "fake", "namespace": namespace}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "fake", "user": {}}],
        "contexts": [{"name": "fake", "context": context}],
    }
    file.write_text(json.dumps(document))
    return file
