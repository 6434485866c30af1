"""The REST API of a Drasi server over one instance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from draas.contract.drasi_server import (
    API_PREFIX,
    API_VERSION,
    COLLECTIONS,
    HEALTH_PATH,
    INTERNAL_ERROR,
    LEADER,
    QUERY,
    REACTION,
    SOURCE,
    VERSIONS_PATH,
)
from draas.instance_host import views
from draas.instance_host.documents import check_component
from draas.instance_host.errors import ApiError, invalid
from draas.instance_host.handover_api import HandoverApi
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import TEXT, Response, json_response
from draas.instance_host.instance import Instance
from draas.instance_host.journal import EVENTS, KEPT, LOGS
from draas.instance_host.pages import refuse_orders_of_pages
from draas.instance_host.registry import Query
from draas.instance_host.routing import Router, document_of, event_stream, parameter
from draas.instance_host.values import whole_of

Act = Callable[..., Awaitable[Response]]


class Api:
    """Routes with and without `/instances/{instance_id}`; the latter act on the same instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.router = Router(refuse_orders_of_pages)
        self.router.add("GET", HEALTH_PATH, self._health)
        self.router.add("GET", VERSIONS_PATH, self._versions)
        self.router.add("GET", f"{API_PREFIX}/instances", self._instances)
        self.router.add("GET", f"{API_PREFIX}/instances/{{instance_id}}/snapshot", self._snapshot)
        self._add("GET", "/events", self._all_events)
        for kind, collection in COLLECTIONS.items():
            self._add_kind(kind, f"/{collection}")
        self._add("POST", "/sources/{id}/push", self._push)
        HandoverApi(instance.handover, instance.registry).add_to(self._add)
        self._add("GET", "/queries/{id}/results", self._results)
        self._add("GET", "/queries/{id}/attach", self._attach)

    def _add_kind(self, kind: str, base: str) -> None:
        self._add("GET", base, partial(self._list, kind))
        self._add("POST", base, partial(self._create, kind))
        self._add("GET", f"{base}/{{id}}", partial(self._get, kind))
        self._add("DELETE", f"{base}/{{id}}", partial(self._delete, kind))
        if kind in (SOURCE, REACTION):
            self._add("PUT", f"{base}/{{id}}", partial(self._upsert, kind))
        self._add("POST", f"{base}/{{id}}/start", partial(self._start, kind))
        self._add("POST", f"{base}/{{id}}/stop", partial(self._stop, kind))
        for topic in (EVENTS, LOGS):
            self._add("GET", f"{base}/{{id}}/{topic}", partial(self._entries, kind, topic))
            self._add("GET", f"{base}/{{id}}/{topic}/stream", partial(self._follow, kind, topic))

    def _add(self, method: str, path: str, act: Act) -> None:
        async def on_instance(request: Request, instance_id: str, **values: str) -> Response:
            if instance_id != self._instance.id:
                raise ApiError(INTERNAL_ERROR, f"Instance '{instance_id}' not found")
            return await act(request, **values)

        self.router.add(method, API_PREFIX + path, act)
        self.router.add(method, f"{API_PREFIX}/instances/{{instance_id}}{path}", on_instance)

    # the server

    async def _health(self, request: Request) -> Response:
        return json_response({"status": "ok", "timestamp": views.timestamp(self._instance)})

    async def _versions(self, request: Request) -> Response:
        return json_response({"versions": [API_VERSION], "current": API_VERSION})

    async def _instances(self, request: Request) -> Response:
        return _success([await views.instance_item(self._instance)])

    async def _snapshot(self, request: Request, instance_id: str) -> Response:
        if instance_id != self._instance.id:
            return Response(404, f"Instance '{instance_id}' not found".encode(), TEXT)
        return json_response(await views.snapshot(self._instance))

    async def _all_events(self, request: Request) -> Response:
        return event_stream(self._instance.journal.follow_events())

    # components of every kind

    async def _list(self, kind: str, request: Request) -> Response:
        return _success(await views.list_items(self._instance, kind))

    async def _get(self, kind: str, request: Request, id: str) -> Response:
        full = parameter(request, "view") == "full"
        return _success(await views.one_item(self._instance, kind, id, full))

    async def _create(self, kind: str, request: Request) -> Response:
        document = check_component(kind, document_of(request), kind)
        return _message(await self._instance.add(kind, document))

    async def _upsert(self, kind: str, request: Request, id: str) -> Response:
        document = check_component(kind, document_of(request), kind)
        if document["id"] != id:
            raise invalid(f"Path id '{id}' does not match body id '{document['id']}'")
        return _message(await self._instance.upsert(kind, document))

    async def _delete(self, kind: str, request: Request, id: str) -> Response:
        return _message(await self._instance.remove(kind, id))

    async def _start(self, kind: str, request: Request, id: str) -> Response:
        return _message(await self._instance.start(kind, id))

    async def _stop(self, kind: str, request: Request, id: str) -> Response:
        return _message(await self._instance.stop(kind, id))

    async def _entries(self, kind: str, topic: str, request: Request, id: str) -> Response:
        self._instance.registry.get(kind, id)
        limit = parameter(request, "limit")
        count = KEPT if limit is None else whole_of(limit, "limit")
        return _success(self._instance.journal.newest(topic, kind, id, count))

    async def _follow(self, kind: str, topic: str, request: Request, id: str) -> Response:
        self._instance.registry.get(kind, id)
        return event_stream(self._instance.journal.follow(topic, kind, id))

    # sources and queries

    async def _push(self, request: Request, id: str) -> Response:
        if self._instance.handover.role == LEADER:
            self._instance.registry.get(SOURCE, id)
        await self._instance.sources.push(id, document_of(request))
        return _message("Data pushed successfully")

    async def _results(self, request: Request, id: str) -> Response:
        return _success(await self._instance.queries.results(self._query(id)))

    async def _attach(self, request: Request, id: str) -> Response:
        return event_stream(self._instance.queries.attach(self._query(id)))

    def _query(self, query_id: str) -> Query:
        query = self._instance.registry.get(QUERY, query_id)
        assert isinstance(query, Query)
        return query


def _success(data: Any) -> Response:
    return json_response({"success": True, "data": data, "error": None})


def _message(message: str) -> Response:
    return _success({"message": message})
