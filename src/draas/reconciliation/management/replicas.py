"""Any replica answers for all: what belongs to another daemon is asked of it (S-21)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.requests import Request

from draas.client.http import HttpClient
from draas.client.port import ControlPlaneError, RefusedError
from draas.contract import routes
from draas.contract.bodies import optional_body
from draas.contract.problems import ProblemError
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.request import DAEMON

SECONDS = 10.0
"""How long another daemon may take to answer."""

Document = dict[str, Any]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Replicas:
    """The other daemons over the same store, as far as they are alive."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._clients: dict[str, HttpClient] = {}

    def place_of(self, request: Request) -> str | None:
        """Where a request is to be answered, `None` if that is here."""
        if routes.FORWARDED in request.headers:
            return None
        instance_id = request.path_params.get("instance_id")
        shards = self._daemon.shards
        return shards.leader_url() if instance_id is None else shards.owner_url(instance_id)

    async def relay(self, request: Request, url: str) -> Response:
        """What the daemon at `url` answers to this request.

        Raises:
            ProblemError: it does not answer, or the body makes no sense.
        """
        actor = request.headers.get(routes.ACTOR)
        headers = {routes.FORWARDED: "1"} | ({routes.ACTOR: actor} if actor else {})
        body = await optional_body(request)
        try:
            answer = await self._client(url).request(
                request.method,
                request.url.path,
                body=body,
                headers=headers,
                params=request.query_params.multi_items(),
                within=SECONDS,
            )
        except RefusedError as error:
            return JSONResponse(error.members, error.status, media_type="application/problem+json")
        except ControlPlaneError as error:
            raise ProblemError(
                "replica-unreachable",
                f"the daemon at {url} has this to do and does not answer: {error}; if it died, "
                "another one takes over within seconds",
            ) from error
        return Response(answer.body, answer.status, media_type="application/json")

    async def pages(self, params: dict[str, str]) -> dict[str, Document | None]:
        """The page that each other daemon has of its instances; `None` if it does not answer."""
        urls = self._daemon.shards.other_urls()
        found = await asyncio.gather(*(self._page(url, params) for url in urls))
        return dict(zip(urls, found, strict=True))

    async def tell(self, path: str, actor: str) -> list[Document]:
        """What each other daemon answers to the same order.

        Raises:
            ProblemError: one does not answer; the order may be given again.
        """
        answers = []
        for url in self._daemon.shards.other_urls():
            headers = {routes.FORWARDED: "1", routes.ACTOR: actor}
            try:
                answer = await self._client(url).request(
                    "POST", path, headers=headers, within=SECONDS
                )
                answers.append(answer.json())
            except ControlPlaneError as error:
                why = f"the daemon at {url} does not answer: {error}; give the order again"
                raise ProblemError("replica-unreachable", why) from error
        return answers

    async def _page(self, url: str, params: dict[str, str]) -> Document | None:
        try:
            answer = await self._client(url).request(
                "GET",
                routes.RECONCILED,
                headers={routes.FORWARDED: "1"},
                params=params,
                within=SECONDS,
            )
            page = answer.json()
        except ControlPlaneError:
            return None
        return page if isinstance(page, dict) else None

    def _client(self, url: str) -> HttpClient:
        if url not in self._clients:
            self._clients[url] = HttpClient(url, actor=DAEMON)
        return self._clients[url]

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()


def router(replicas: Replicas, tag: str) -> APIRouter:
    """A router whose routes are answered where their instance, or the whole fleet, is led."""

    class AnsweredThere(APIRoute):
        """A route that asks another daemon where that has the answer."""

        def get_route_handler(self) -> Handler:
            """The route's own handler, unless the answer is elsewhere."""
            here = super().get_route_handler()

            async def handler(request: Request) -> Response:
                url = replicas.place_of(request)
                return await (here(request) if url is None else replicas.relay(request, url))

            return handler

    return APIRouter(prefix="/api/reconciliation", tags=[tag], route_class=AnsweredThere)
