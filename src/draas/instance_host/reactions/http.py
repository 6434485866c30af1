"""The reaction kind `http`: a webhook for each changed row, sent by one worker from a queue."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from draas.instance_host.errors import invalid
from draas.instance_host.http_client import Target, send
from draas.instance_host.reactions import Result, Warn
from draas.instance_host.reactions.templates import (
    OPERATIONS,
    check_template,
    context_of,
    operation,
    render,
    sides,
)
from draas.instance_host.values import text_of, whole_of

DEFAULT_TIMEOUT_MS = 5000
QUEUE_LIMIT = 1000
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


_Queued = tuple[Result, dict[str, Any]] | asyncio.Event
"""A row to send, or what is set when all rows before it were sent."""


@dataclass(frozen=True, slots=True)
class _Call:
    url: str
    method: str
    template: str | None
    headers: dict[str, str]


class HttpSink:
    """Sends rows in order; what does not fit into the queue is dropped and counted, never waited.

    A row without a template goes by POST to `{baseUrl}/changes/{queryId}` as JSON: queryId,
    sequence, timestamp, type, before and after. A failed call is noted and not repeated.
    """

    own_clients = False

    def __init__(self, properties: dict[str, Any], warn: Warn) -> None:
        self._base = text_of(properties.get("baseUrl"), "baseUrl").rstrip("/")
        try:
            Target.of(self._base + "/")
        except ValueError as error:
            raise invalid(f"baseUrl: {error}") from error
        timeout = properties.get("timeoutMs", DEFAULT_TIMEOUT_MS)
        self._timeout = whole_of(timeout, "timeoutMs", least=1) / 1000
        self._headers = {"content-type": "application/json"}
        if properties.get("token"):
            self._headers["authorization"] = f"Bearer {text_of(properties['token'], 'token')}"
        self._routes = _routes(properties.get("routes"), "routes")
        self._shared = _calls(properties.get("outputTemplates"), "outputTemplates")
        self._warn = warn
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue(QUEUE_LIMIT)
        self._dropped = 0
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the worker; what was queued before is sent."""
        self._worker = asyncio.ensure_future(self._work())

    async def stop(self) -> None:
        """Stop the worker; a call under way is given up."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None

    def deliver(self, result: Result) -> None:
        """Queue the result's rows."""
        for row in result["results"]:
            if row["type"] not in OPERATIONS:
                continue
            try:
                self._queue.put_nowait((result, row))
            except asyncio.QueueFull:
                self._dropped += 1
                if self._dropped & (self._dropped - 1) == 0:  # at 1, 2, 4, 8, …
                    self._warn(f"the receiver is too slow: {self._dropped} rows dropped so far")

    async def settle(self) -> None:
        """Return when every call that is queued by now has been made."""
        if self._worker is not None:
            through = asyncio.Event()
            await self._queue.put(through)
            await through.wait()

    async def _work(self) -> None:
        while True:
            queued = await self._queue.get()
            if isinstance(queued, asyncio.Event):
                queued.set()
                continue
            result, row = queued
            try:
                status = await self._send(result, row)
                if status >= 400:
                    self._warn(f"the receiver answered {status}")
            except (OSError, TimeoutError, ValueError) as error:
                self._warn(f"a call failed: {type(error).__name__}")

    async def _send(self, result: Result, row: dict[str, Any]) -> int:
        query_id = result["query_id"]
        context = context_of(query_id, row, result)
        call = self._call(query_id, row["type"])
        if call is None:
            call = _Call(f"/changes/{query_id}", "POST", None, {})
        url = render(call.url, context)
        target = Target.of(url if url.startswith(("http://", "https://")) else self._base + url)
        body = _body(result, row) if call.template is None else render(call.template, context)
        rendered = {name.lower(): render(value, context) for name, value in call.headers.items()}
        status, _ = await send(
            call.method, target, {**self._headers, **rendered}, body.encode(), self._timeout
        )
        return status

    def _call(self, query_id: str, kind: str) -> _Call | None:
        own = self._routes.get(query_id, {})
        for name in OPERATIONS[kind]:
            if name in own or name in self._shared:
                return own.get(name) or self._shared[name]
        return None


def _body(result: Result, row: dict[str, Any]) -> str:
    before, after = sides(row)
    document = {
        "queryId": result["query_id"],
        "sequence": result.get("sequence"),
        "timestamp": result.get("timestamp"),
        "type": operation(row),
        "before": before,
        "after": after,
    }
    return json.dumps(document, ensure_ascii=False)


def _routes(routes: Any, path: str) -> dict[str, dict[str, _Call]]:
    if routes is None:
        return {}
    if not isinstance(routes, dict):
        raise invalid(f"{path}: must be an object of query ids")
    return {query_id: _calls(calls, f"{path}.{query_id}") for query_id, calls in routes.items()}


def _calls(calls: Any, path: str) -> dict[str, _Call]:
    if calls is None:
        return {}
    if not isinstance(calls, dict):
        raise invalid(f"{path}: must be an object of operations")
    return {
        name: _one_call(spec, f"{path}.{name}") for name, spec in calls.items() if spec is not None
    }


def _one_call(spec: Any, path: str) -> _Call:
    headers = spec.get("headers") or {} if isinstance(spec, dict) else None
    if not isinstance(headers, dict):
        raise invalid(f"{path}: must be an object of url, method, body or template, headers")
    method = str(spec.get("method") or "POST").upper()
    if method not in METHODS:
        raise invalid(f"{path}.method: must be one of {', '.join(METHODS)}")
    template = spec.get("template") or spec.get("body")
    return _Call(
        url=check_template(spec.get("url") or "", f"{path}.url"),
        method=method,
        template=check_template(template, f"{path}.template") if template else None,
        headers={
            str(name): check_template(value, f"{path}.headers.{name}")
            for name, value in headers.items()
        },
    )
