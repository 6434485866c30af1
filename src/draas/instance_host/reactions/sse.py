"""The reaction kind `sse`: its own listener, from which results stream to any number of clients."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from draas.instance_host.errors import invalid
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import EVENT_STREAM, HttpServer, Response, bind
from draas.instance_host.reactions import Result
from draas.instance_host.reactions.templates import (
    OPERATIONS,
    by_operation,
    by_query,
    check_template,
    context_of,
    only,
    render,
)
from draas.instance_host.routing import Router, event
from draas.instance_host.values import text_of, whole_of
from draas.model.clock import Clock

DEFAULT_PORT = 8080
DEFAULT_PATH = "/events"
NO_PATH = frozenset("{?#%")
"""Of these a path would never match: it is compared without parameters, and decoded."""
DEFAULT_HEARTBEAT_MS = 30_000
CLIENT_BACKLOG = 1024
SETTLE_SECONDS = 1.0

_LINE_END = re.compile(r"\r\n|\r|\n")
"""Those of server-sent events: every other character is data."""

_Queued = bytes | asyncio.Event
"""An event to send, or what is set when all before it were sent."""


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    path: str


class SseSink:
    """Sends `{"queryId", "results", "timestamp"}` to every client, and heartbeats in silence.

    Where `routes` or `defaultTemplate` have a template, a row is sent as that says, on `ssePath` or
    a path of its own. A client that falls 1,024 events behind loses the oldest of them.
    """

    own_clients = True

    def __init__(self, properties: dict[str, Any], clock: Clock) -> None:
        self._host = text_of(properties.get("host", "0.0.0.0"), "host")
        self._port = whole_of(properties.get("port", DEFAULT_PORT), "port", 1, 65535)
        self._path = text_of(properties.get("ssePath", DEFAULT_PATH), "ssePath")
        if not self._path.startswith("/") or not NO_PATH.isdisjoint(self._path):
            raise invalid("ssePath: must begin with / and have none of { ? # %")
        heartbeat = properties.get("heartbeatIntervalMs", DEFAULT_HEARTBEAT_MS)
        self._heartbeat = whole_of(heartbeat, "heartbeatIntervalMs", least=1) / 1000
        self._routes = by_query(properties.get("routes"), "routes", self._template)
        default = properties.get("defaultTemplate")
        self._default = by_operation(default, "defaultTemplate", self._template)
        self._clock = clock
        templates = [each for route in self._routes.values() for each in route.values()]
        paths = {self._path, *(each.path for each in (*templates, *self._default.values()))}
        self._clients: dict[str, set[asyncio.Queue[_Queued]]] = {path: set() for path in paths}
        self._router = Router()
        for path in paths:
            self._router.add("GET", path, partial(self._stream, self._clients[path]))
        self._server: HttpServer | None = None

    async def start(self) -> None:
        """Begin to listen; `OSError` names an address that is taken."""
        server = HttpServer(self._router)
        await server.listen(bind(self._host, self._port))
        self._server = server

    async def stop(self) -> None:
        """Close the listener and every stream."""
        if self._server is not None:
            await self._server.close()
            self._server = None

    def deliver(self, result: Result) -> None:
        """Queue the result for every client."""
        for path, message in self._messages(result) if any(self._clients.values()) else ():
            for client in self._clients[path]:
                if client.full():
                    client.get_nowait()
                client.put_nowait(message)

    def unsent(self) -> list[Result]:
        """Nothing: what is queued belongs to clients that have gone."""
        return []

    async def settle(self) -> None:
        """Return when every client was sent all of it; one that reads too slowly gets it later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                for client in [each for clients in self._clients.values() for each in clients]:
                    through = asyncio.Event()
                    await client.put(through)
                    await through.wait()

    def _messages(self, result: Result) -> list[tuple[str, bytes]]:
        query_id = result["query_id"]
        rows = [row for row in result["results"] if row["type"] in OPERATIONS]
        templates = self._routes.get(query_id, self._default)
        if not templates:
            return [(self._path, self._plain(query_id, rows))] if rows else []
        messages = []
        for row in rows:
            template = templates.get(OPERATIONS[row["type"]])
            if template is None:
                messages.append((self._path, self._plain(query_id, [row])))
            elif not template.text:
                messages.append((template.path, self._plain(query_id, [row])))
            else:
                text = render(template.text, context_of(query_id, row, result))
                messages.append((template.path, _raw_event(text)))
        return messages

    def _plain(self, query_id: str, rows: list[dict[str, Any]]) -> bytes:
        return event({"queryId": query_id, "results": rows, "timestamp": self._now_ms()})

    async def _stream(self, clients: set[asyncio.Queue[_Queued]], request: Request) -> Response:
        headers = {"cache-control": "no-cache", "access-control-allow-origin": "*"}
        return Response(
            content_type=EVENT_STREAM, headers=headers, stream=self._messages_of(clients)
        )

    async def _messages_of(
        self, clients: set[asyncio.Queue[_Queued]]
    ) -> AsyncGenerator[bytes, None]:
        client: asyncio.Queue[_Queued] = asyncio.Queue(CLIENT_BACKLOG)
        clients.add(client)
        try:
            yield b": connected\n\n"
            while True:
                try:
                    async with asyncio.timeout(self._heartbeat):
                        message = await client.get()
                except TimeoutError:
                    yield event({"type": "heartbeat", "ts": self._now_ms()})
                    continue
                if isinstance(message, asyncio.Event):
                    message.set()
                else:
                    yield message
        finally:
            clients.discard(client)

    def _template(self, spec: Any, path: str) -> _Template:
        spec = only(spec, path, "template", "path")
        own = spec.get("path") or self._path
        if not isinstance(own, str) or not NO_PATH.isdisjoint(own):
            raise invalid(f"{path}.path: must be a fixed path, without any of {{ ? # %")
        template = spec.get("template") or ""
        return _Template(
            text=check_template(template, f"{path}.template"),
            path=own if own.startswith("/") else f"{self._path}/{own}",
        )

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _raw_event(text: str) -> bytes:
    return ("".join(f"data: {line}\n" for line in _LINE_END.split(text)) + "\n").encode()
