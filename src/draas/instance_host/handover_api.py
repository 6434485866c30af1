"""The routes of the hand-over: for the control plane, and between the hosts of an instance."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

from draas.contract.drasi_server import FOLLOWER, HANDOVER
from draas.instance_host.change_log import line_of
from draas.instance_host.elements import Change
from draas.instance_host.errors import ApiError, invalid, wrong_role
from draas.instance_host.handover import Handover
from draas.instance_host.http_requests import Request
from draas.instance_host.http_server import Response, json_response
from draas.instance_host.pages import refuse_pages
from draas.instance_host.peers import base_url
from draas.instance_host.registry import Registry
from draas.instance_host.routing import document_of, parameter
from draas.instance_host.transfer import export, header_line
from draas.instance_host.values import text_of, whole_of

NDJSON = "application/x-ndjson"
HEARTBEAT_SECONDS = 1.0

Act = Callable[..., Awaitable[Response]]
Add = Callable[[str, str, Act], None]


class HandoverApi:
    """Routes below `/handover`; none of them for web pages."""

    def __init__(self, handover: Handover, registry: Registry) -> None:
        self._handover = handover
        self._registry = registry

    def add_to(self, add: Add) -> None:
        """Add the routes."""
        add("GET", HANDOVER, _guarded(self._state))
        add("GET", f"{HANDOVER}/changes", _guarded(self._changes))
        add("GET", f"{HANDOVER}/elements", _guarded(self._elements))
        add("POST", f"{HANDOVER}/push", _guarded(self._push))
        add("POST", f"{HANDOVER}/seal", _guarded(self._seal))
        add("POST", f"{HANDOVER}/unseal", _guarded(self._unseal))
        add("POST", f"{HANDOVER}/settle", _guarded(self._settle))
        add("POST", f"{HANDOVER}/promote", _guarded(self._promote))
        add("POST", f"{HANDOVER}/follow", _guarded(self._follow))

    async def _state(self, request: Request) -> Response:
        return _success(self._handover.state())

    async def _elements(self, request: Request) -> Response:
        chunks = export(self._handover.log, self._registry)
        return Response(content_type=NDJSON, stream=_each(chunks))

    async def _changes(self, request: Request) -> Response:
        if self._handover.role == FOLLOWER:
            raise wrong_role("this host follows: ask its leader")
        log = self._handover.log
        after = parameter(request, "after")
        log.open()
        if after is None:
            first, position = export(log, self._registry), log.sequence
        else:
            position = whole_of(after, "after")
            log.check(position, parameter(request, "term"))
            first = iter([header_line(log)])
        return Response(content_type=NDJSON, stream=self._stream(first, position))

    async def _stream(self, first: Iterator[bytes], position: int) -> AsyncGenerator[bytes, None]:
        """What comes first, then changes and heartbeats for as long as this host may lead."""
        for chunk in first:
            yield chunk
        log, terms = self._handover.log, self._handover.log.terms
        while self._handover.role != FOLLOWER:
            if log.terms is not terms:
                terms = log.terms
                yield header_line(log)
            try:
                changes = log.after(position)
            except ApiError as error:
                yield line_of({"error": error.message})
                return
            if changes:
                position += len(changes)
                yield b"".join(changes)
            else:
                await log.news(HEARTBEAT_SECONDS)
                if log.sequence == position:
                    yield header_line(log)

    async def _push(self, request: Request) -> Response:
        match document_of(request):
            case {"source": str(source_id), "change": {"op": str()} as change, "hops": int(hops)}:
                await self._handover.take(source_id, _change(change), hops)
                return _success({"message": "Data pushed successfully"})
        raise invalid("a forwarded change must have `source`, `change` and `hops`")

    async def _seal(self, request: Request) -> Response:
        document = document_of(request)
        if not isinstance(document, dict):
            raise invalid("the body must be an object: `successor`, `ending`, or empty")
        ending = document.get("ending", False) is True
        known = document.get("successor") is not None
        successor = _url(document, "successor") if known else None
        return _success({"sequence": await self._handover.seal(successor, ending=ending)})

    async def _unseal(self, request: Request) -> Response:
        await self._handover.unseal()
        return _success(self._handover.state())

    async def _settle(self, request: Request) -> Response:
        document = document_of(request)
        given = document.get("sequence") if isinstance(document, dict) else None
        await self._handover.settle(whole_of(given, "sequence"))
        return _success(self._handover.state())

    async def _promote(self, request: Request) -> Response:
        document = document_of(request)
        if not isinstance(document, dict) or "sequence" not in document:
            raise invalid("sequence: the last change of the sealed leader, or null to go without")
        sequence = document["sequence"]
        await self._handover.promote(None if sequence is None else whole_of(sequence, "sequence"))
        return _success(self._handover.state())

    async def _follow(self, request: Request) -> Response:
        await self._handover.follow(_url(document_of(request), "leader"))
        return _success(self._handover.state())


def _guarded(act: Act) -> Act:
    async def guarded(request: Request, **values: str) -> Response:
        refuse_pages(request)
        return await act(request, **values)

    return guarded


def _url(document: Any, name: str) -> str:
    value = document.get(name) if isinstance(document, dict) else None
    return base_url(text_of(value, name), name)


def _change(change: dict[str, Any]) -> Change:
    if not isinstance(change.get("id"), str):
        raise invalid("change.id: must be a string")
    if not isinstance(change.get("properties", {}), dict):
        raise invalid("change.properties: must be an object")
    return change


async def _each(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


def _success(data: Any) -> Response:
    return json_response({"success": True, "data": data, "error": None})
