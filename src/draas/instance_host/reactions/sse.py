"""The reaction kind `sse`: its own listener, from which results stream to any number of clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from draas.instance_host.errors import invalid
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import EVENT_STREAM, HttpServer, Response, bind
from draas.instance_host.reactions import Result
from draas.instance_host.reactions.templates import (
    OPERATIONS,
    check_template,
    context_of,
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

_Queued = bytes | asyncio.Event
"""An event to send, or what is set when all before it were sent."""


class SseSink:
    """Sends `{"queryId", "results", "timestamp"}` to every client, and heartbeats in silence.

    A client that falls 1,024 events behind loses the oldest of them.
    """

    own_clients = True

    def __init__(self, properties: dict[str, Any], clock: Clock) -> None:
        self._host = text_of(properties.get("host", "0.0.0.0"), "host")
        self._port = whole_of(properties.get("port", DEFAULT_PORT), "port", 1, 65535)
        path = text_of(properties.get("ssePath", DEFAULT_PATH), "ssePath")
        if not path.startswith("/") or not NO_PATH.isdisjoint(path):
            raise invalid("ssePath: must begin with / and have none of { ? # %")
        heartbeat = properties.get("heartbeatIntervalMs", DEFAULT_HEARTBEAT_MS)
        self._heartbeat = whole_of(heartbeat, "heartbeatIntervalMs", least=1) / 1000
        self._templates = _templates(properties.get("routes"))
        self._clock = clock
        self._clients: set[asyncio.Queue[_Queued]] = set()
        self._router = Router()
        self._router.add("GET", path, self._stream)
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
        for message in self._messages(result) if self._clients else ():
            for client in self._clients:
                if client.full():
                    client.get_nowait()
                client.put_nowait(message)

    async def settle(self) -> None:
        """Return when every client was sent all of it; one that reads too slowly gets it later."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                for client in list(self._clients):
                    through = asyncio.Event()
                    await client.put(through)
                    await through.wait()

    def _messages(self, result: Result) -> list[bytes]:
        query_id = result["query_id"]
        rows = [row for row in result["results"] if row["type"] in OPERATIONS]
        templates = self._templates.get(query_id)
        if templates is None:
            document = {"queryId": query_id, "results": rows, "timestamp": self._now_ms()}
            return [event(document)] if rows else []
        messages = []
        for row in rows:
            template = templates.get(OPERATIONS[row["type"]][0])
            if template is None:
                messages.append(
                    event({"queryId": query_id, "results": [row], "timestamp": self._now_ms()})
                )
            else:
                text = render(template, context_of(query_id, row, result))
                messages.append(_raw_event(text))
        return messages

    async def _stream(self, request: Request) -> Response:
        headers = {"cache-control": "no-cache", "access-control-allow-origin": "*"}
        client: asyncio.Queue[_Queued] = asyncio.Queue(CLIENT_BACKLOG)
        return Response(
            content_type=EVENT_STREAM, headers=headers, stream=self._messages_of(client)
        )

    async def _messages_of(self, client: asyncio.Queue[_Queued]) -> AsyncGenerator[bytes, None]:
        self._clients.add(client)
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
            self._clients.discard(client)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _raw_event(text: str) -> bytes:
    lines = text.splitlines() or [""]
    return ("".join(f"data: {line}\n" for line in lines) + "\n").encode()


def _templates(routes: Any) -> dict[str, dict[str, str]]:
    if routes is None:
        return {}
    if not isinstance(routes, dict) or not all(isinstance(r, dict) for r in routes.values()):
        raise invalid("routes: must be an object of query ids, each with added, updated, deleted")
    return {
        query_id: {
            name: check_template(spec["template"], f"routes.{query_id}.{name}.template")
            for name, spec in route.items()
            if isinstance(spec, dict) and spec.get("template")
        }
        for query_id, route in routes.items()
    }
