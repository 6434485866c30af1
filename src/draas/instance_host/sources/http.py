"""The source kind `http`: its own listener, which takes changes as Drasi's HTTP source does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from draas.instance_host.errors import ApiError, invalid
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import HttpServer, Response, bind, json_response
from draas.instance_host.routing import Router, document_of
from draas.instance_host.sources import Feed
from draas.instance_host.sources.changes import change_of
from draas.instance_host.values import text_of, whole_of

DEFAULT_PORT = 8080


class HttpFeeder:
    """Serves `/sources/{id}/events`, `…/events/batch` and `/health` on `host` and `port`."""

    generates = False

    def __init__(self, source_id: str, properties: dict[str, Any], feed: Feed) -> None:
        if properties.get("webhooks"):
            raise invalid("webhooks: not served by this host; use the http plugin (--plugins-dir)")
        self._host = text_of(properties.get("host", "0.0.0.0"), "host")
        self._port = whole_of(properties.get("port", DEFAULT_PORT), "port", 1, 65535)
        self._source_id = source_id
        self._feed = feed
        self._router = Router()
        self._router.add("POST", "/sources/{source_id}/events", self._event)
        self._router.add("POST", "/sources/{source_id}/events/batch", self._batch)
        self._router.add("GET", "/health", self._health)
        self._server: HttpServer | None = None

    async def start(self) -> None:
        """Begin to listen; `OSError` names an address that is taken."""
        server = HttpServer(self._router)
        await server.listen(bind(self._host, self._port))
        self._server = server

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if self._server is not None:
            await self._server.close()
            self._server = None

    def resume(self, known: Iterable[str]) -> None:
        """Nothing to go on with: clients name their elements."""

    async def _event(self, request: Request, source_id: str) -> Response:
        return await self._take([document_of(request)], source_id)

    async def _batch(self, request: Request, source_id: str) -> Response:
        document = document_of(request)
        events = document.get("events") if isinstance(document, dict) else None
        if not isinstance(events, list):
            raise invalid("a batch must be an object with a list `events`")
        return await self._take(events, source_id)

    async def _health(self, request: Request) -> Response:
        return json_response({"status": "healthy", "service": "http-source"})

    async def _take(self, events: list[Any], source_id: str) -> Response:
        if source_id != self._source_id:
            error = f"Expected '{self._source_id}', got '{source_id}'"
            return _outcome(False, "Source name mismatch", error, 400)
        failures = []
        for document in events:
            try:
                await self._feed(change_of(document))
            except ApiError as error:
                failures.append(error.message)
        if not failures:
            return _outcome(True, f"All {len(events)} events processed successfully")
        if len(failures) == len(events):
            return _outcome(False, f"All {len(events)} events failed", failures[-1], 400)
        done = len(events) - len(failures)
        message = f"Processed {done} events successfully, {len(failures)} failed"
        return _outcome(True, message, failures[-1])


def _outcome(success: bool, message: str, error: str | None = None, status: int = 200) -> Response:
    return json_response({"success": success, "message": message, "error": error}, status)
