"""Routes kept by a gateway of Kubernetes, told by HTTPRoute objects of the Gateway API."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import aiohttp

from draas.adapters.routers import gateway_documents as documents
from draas.control_plane.router import (
    DRAIN_SECONDS,
    Capabilities,
    Counters,
    Route,
    RouterError,
)

_LIVE_SECONDS = 30.0
_POLL_SECONDS = 0.2
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)


class GatewayApiRouter:
    """`TrafficRouter` by HTTPRoute objects of one gateway, in one namespace.

    A backend's host is the name of a service; the host of `Route.listen` means nothing, its port
    is that of a listener which the gateway has. The gateway counts, but not for us: `traffic` is
    refused, and a drain lasts as long as it may, as nobody tells when it is over.

    `api` is the address of the API server; `token` a file with a bearer token, read anew for
    each request; `authority` a file with the certificate that signs the server's.
    """

    kind = "gateway-api"
    capabilities = Capabilities(
        opens_ports=False, counters=False, histogram=False, inflight=False, mirror=False
    )

    def __init__(
        self,
        api: str,
        namespace: str,
        gateway: str,
        *,
        token: Path | None = None,
        authority: Path | None = None,
    ) -> None:
        version = documents.VERSION
        self._routes = f"{api.rstrip('/')}/apis/{version}/namespaces/{namespace}/httproutes"
        self._gateway = gateway
        self._token = token
        self._authority = authority
        self._session: aiohttp.ClientSession | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def unavailable(self) -> str | None:
        """See `TrafficRouter.unavailable`."""
        for file in (self._token, self._authority):
            if file is not None and not file.is_file():
                return f"there is no file {str(file)!r}"
        return None

    async def open(self, routes: Collection[Route]) -> Mapping[str, RouterError]:
        """See `TrafficRouter.open`."""
        found = await self._ask("GET", "", labels=documents.MANAGED)
        wanted = {documents.object_name(route.name) for route in routes}
        for each in found["items"]:
            if each["metadata"]["name"] not in wanted:
                await self._ask("DELETE", f"/{each['metadata']['name']}")
        failed = {}
        for route in routes:
            try:
                await self.ensure(route, drain=0.0)
            except RouterError as error:
                failed[route.name] = error
        return failed

    async def ensure(self, route: Route, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.ensure`."""
        if fault := route.fault() or self.unavailable():
            raise RouterError(fault)
        if route.mirrors or route.pushes_to:
            raise RouterError("the Gateway API does not tell of failed mirrors: none are made")
        async with self._locks.setdefault(route.name, asyncio.Lock()):
            path = f"/{documents.object_name(route.name)}"
            found = await self._ask("GET", path, missing={})
            if not found:
                await self._ask("POST", "", documents.http_route(route, self._gateway))
                await self._live(path)
                return
            if steps := documents.leaving(found, route):
                await self._ask("PATCH", path, steps)
                found = await self._live(path)
                await asyncio.sleep(drain)
            if steps := documents.patch(found, route, self._gateway):
                await self._ask("PATCH", path, steps)
            await self._live(path)

    async def remove(self, name: str, drain: float = DRAIN_SECONDS) -> None:
        """See `TrafficRouter.remove`; what is in flight is the gateway's to drain."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            await self._ask("DELETE", f"/{documents.object_name(name)}", missing={})

    async def traffic(self, name: str) -> Mapping[str, Counters]:
        """Always refused, see `TrafficRouter.traffic`."""
        raise RouterError(
            f"what the backends of {name!r} got is known to the gateway only; read its metrics"
        )

    async def close(self) -> None:
        """See `TrafficRouter.close`."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _live(self, path: str) -> Mapping[str, Any]:
        """The object once the gateway has it; raises `RouterError` where it will not."""
        reason: str | None = None
        try:
            async with asyncio.timeout(_LIVE_SECONDS):
                while True:
                    found = await self._ask("GET", path)
                    reason = documents.waits_for(found, self._gateway)
                    if reason is None:
                        return found
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RouterError(f"not live after {_LIVE_SECONDS:g} s: {reason}") from None

    async def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        labels: Mapping[str, str] | None = None,
        missing: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """The API server's answer; `missing` in place of an object that is not there."""
        kind = "application/json-patch+json" if method == "PATCH" else "application/json"
        headers = {"accept": "application/json", "content-type": kind}
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        try:
            if self._token is not None:
                headers["authorization"] = f"Bearer {self._token.read_text().strip()}"
            async with self._opened().request(
                method,
                f"{self._routes}{path}",
                params={"labelSelector": selector} if selector else None,
                data=None if body is None else json.dumps(body),
                headers=headers,
            ) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RouterError(f"the API server does not answer: {error}") from error
        if response.status == 404 and missing is not None:
            return missing
        if response.status >= 300 or not isinstance(answer, dict):
            message = answer.get("message", "") if isinstance(answer, dict) else ""
            raise RouterError(f"the API server answers {response.status}: {message}")
        return answer

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trust = ssl.create_default_context(cafile=self._authority)
            connector = aiohttp.TCPConnector(ssl=trust)
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        return self._session
