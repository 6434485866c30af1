"""The reaction kind `http`: a webhook for each changed row, sent by one worker from a queue."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from draas.instance_host.errors import invalid
from draas.instance_host.http_client import AnswerError, Target, send
from draas.instance_host.reactions import Result, Warn
from draas.instance_host.reactions.templates import (
    OPERATIONS,
    by_operation,
    by_query,
    check_template,
    context_of,
    only,
    operation,
    render,
    render_url,
    sides,
)
from draas.instance_host.values import text_of, whole_of

DEFAULT_TIMEOUT_MS = 5000
QUEUE_LIMIT = 1000
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OF_TEMPLATES = ("routes", "defaultTemplate")
"""The keys of `outputTemplates`, where it is not itself one template for each operation."""


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
    sequence, timestamp, type, before and after. A call that is not answered with 2xx is noted and
    not repeated; redirections are not followed.
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
        self._routes = by_query(properties.get("routes"), "routes", _call)
        routes, self._shared = _output_templates(properties.get("outputTemplates"))
        for query_id, calls in routes.items():
            self._routes[query_id] = {**self._routes.get(query_id, {}), **calls}
        self._warn = warn
        self._queue: asyncio.Queue[_Queued] = asyncio.Queue(QUEUE_LIMIT)
        self._dropped = 0
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the worker; what was queued before is sent."""
        self._worker = asyncio.ensure_future(self._work())

    async def stop(self) -> None:
        """Stop the worker; a call under way is given up, and noted."""
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

    def unsent(self) -> list[Result]:
        """What is queued, which is forgotten here: one result for each row."""
        results = []
        while not self._queue.empty():
            queued = self._queue.get_nowait()
            if not isinstance(queued, asyncio.Event):
                result, row = queued
                results.append({**result, "results": [row]})
        return results

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
                if not 200 <= status < 300:
                    self._warn(f"the receiver answered {status}")
            except AnswerError as error:
                self._warn(f"a call failed: {error}")
            except (OSError, TimeoutError, ValueError) as error:
                self._warn(f"a call failed: {type(error).__name__}")
            except asyncio.CancelledError:
                self._warn("a call was given up before its answer")
                raise

    async def _send(self, result: Result, row: dict[str, Any]) -> int:
        query_id, kind = result["query_id"], OPERATIONS[row["type"]]
        context = context_of(query_id, row, result)
        call = self._routes.get(query_id, {}).get(kind) or self._shared.get(kind)
        if call is None:
            call = _Call(f"/changes/{quote(query_id, safe='')}", "POST", None, {})
        url = render_url(call.url, context)
        target = Target.of(url if url.startswith(("http://", "https://")) else self._base + url)
        body = _body(result, row) if call.template is None else render(call.template, context)
        rendered = {name.lower(): render(value, context) for name, value in call.headers.items()}
        status, _ = await send(
            call.method, target, {**self._headers, **rendered}, body.encode(), self._timeout
        )
        return status


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


def _output_templates(templates: Any) -> tuple[dict[str, dict[str, _Call]], dict[str, _Call]]:
    """The calls of single queries, and those of all others."""
    path = "outputTemplates"
    if not isinstance(templates, dict) or templates.keys().isdisjoint(OF_TEMPLATES):
        return {}, by_operation(templates, path, _call)
    parts = only(templates, path, *OF_TEMPLATES)
    shared = by_operation(parts.get("defaultTemplate"), f"{path}.defaultTemplate", _call)
    return by_query(parts.get("routes"), f"{path}.routes", _call), shared


def _call(spec: Any, path: str) -> _Call:
    spec = only(spec, path, "url", "method", "body", "template", "headers")
    headers = spec.get("headers") or {}
    if not isinstance(headers, dict):
        raise invalid(f"{path}.headers: must be an object")
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
