"""One HTTP client policy: bounded answers, deadlines, one retry of a read, typed errors (B-61)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from draas.client import many
from draas.client.answers import MAXIMUM_BODY, Response, judged
from draas.client.port import ControlPlaneError, GarbageError, UnreachableError
from draas.contract import routes
from draas.contract.urls import base_urls
from draas.telemetry import messages
from draas.telemetry.logs import emit

Parameters = Mapping[str, str] | Sequence[tuple[str, str]]
"""A query; as pairs where a name may stand there more than once."""

CONNECT_SECONDS = 5.0
"""A machine that is off does not even refuse a connection."""
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_CUT_OFF = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)

LONGEST_REASON = 500
MAXIMUM_LIST = 256 * 1024 * 1024


class HttpClient:
    """Talks to one base URL, a prefix included (B-97); `close` it when done.

    `url` may name several for the same, with commas between: it goes on with the next where one
    does not answer. What may have been carried out is sent again only if that does no harm.
    """

    def __init__(self, url: str, *, actor: str, timeout: float = 30.0, limit: int = 50) -> None:
        self._urls = base_urls(url)
        self._at = 0
        self._actor = actor
        self._timeout = timeout
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Where the next request goes."""
        return self._urls[self._at]

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Parameters | None = None,
        within: float | None = None,
        maximum: int = MAXIMUM_BODY,
        media_type: str = "application/json",
    ) -> Response:
        """The answer, if it is 2xx, or 304 to `If-None-Match`. No redirect is followed.

        Raises:
            UnreachableError: no complete answer within `within` seconds.
            RefusedError: the answer says no.
            GarbageError: the body is larger than `maximum` bytes, or 304 was not asked for.
        """
        sent = dict(headers or ())
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = media_type
        seconds = self._timeout if within is None else within
        is_read, is_several = method == "GET", len(self._urls) > 1
        is_repeatable = is_read or routes.IDEMPOTENCY_KEY in sent
        for left in reversed(range(max(len(self._urls), 1 + is_read))):
            url = self.url
            try:
                async with asyncio.timeout(seconds):
                    return await self._once(method, url, path, data, sent, params, maximum)
            except (aiohttp.ClientError, OSError) as error:  # so is a TimeoutError
                self._go_on_from(url)
                elsewhere = is_several and (is_repeatable or isinstance(error, _UNSENT))
                if not (left and (elsewhere or (is_read and isinstance(error, _CUT_OFF)))):
                    raise UnreachableError(_told(url, error, seconds)) from error
        raise AssertionError("unreachable")

    def _go_on_from(self, url: str) -> None:
        """Ask the next URL from now on, unless somebody has gone on already."""
        if self.url == url:
            self._at = (self._at + 1) % len(self._urls)

    async def _once(
        self,
        method: str,
        url: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
        params: Parameters | None,
        maximum: int,
    ) -> Response:
        session, loop = self._open(), asyncio.get_running_loop()
        begin = loop.time()
        async with session.request(
            method, url + path, data=data, headers=headers, params=params, allow_redirects=False
        ) as answer:
            content = bytearray()
            maximum = maximum if answer.ok else min(maximum, MAXIMUM_BODY)
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > maximum:
                    raise GarbageError(f"the answer to {method} {path} exceeds {maximum} bytes")
            response = Response(answer.status, answer.headers, bytes(content))
        milliseconds = round((loop.time() - begin) * 1000)
        emit(
            messages.API_READ if method == "GET" and answer.ok else messages.API_CALL,
            method=method,
            path=path,
            status_code=response.status,
            milliseconds=milliseconds,
        )
        verdict = judged(response, conditional="If-None-Match" in headers)
        if isinstance(verdict, ControlPlaneError):
            raise verdict
        return verdict

    async def get_all(self, questions: Sequence[many.Question]) -> list[many.Answer]:
        """The answers to many small reads; each is what it is, or what went wrong with it."""
        return await many.get_all(
            self.url, questions, actor=self._actor, seconds=self._timeout, limit=self._limit
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={routes.ACTOR: self._actor},
                connector=aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=15),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _told(url: str, error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
        return f"no answer from {url} in {seconds:.3g} s"
    return f"{url} does not answer: {_why(error)}"


def _why(error: Exception) -> str:
    """Short: the library's text repeats the address and speaks of TLS where there is none."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    return str(error)[:LONGEST_REASON] or type(error).__name__
