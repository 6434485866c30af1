"""One HTTP client policy: bounded answers, deadlines, one retry of a read, typed errors (B-61)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from draas.client import many
from draas.client.answers import MAXIMUM_BODY, Response, refusal
from draas.client.port import GarbageError, UnreachableError
from draas.telemetry import messages
from draas.telemetry.logs import emit

Parameters = Mapping[str, str] | Sequence[tuple[str, str]]
"""A query; as pairs where a name may stand there more than once."""

MAXIMUM_LIST = 256 * 1024 * 1024


class HttpClient:
    """Talks to one base URL, a prefix included (B-97); `close` it when done."""

    def __init__(self, url: str, *, actor: str, timeout: float = 30.0, limit: int = 50) -> None:
        self.url = url.rstrip("/")
        self._actor = actor
        self._timeout = timeout
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

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
        """The answer, if it is 2xx or 304.

        Raises:
            UnreachableError: no complete answer within `within` seconds.
            RefusedError: the answer says no.
            GarbageError: the body is larger than `maximum` bytes.
        """
        sent = {"Draas-Actor": self._actor, **(headers or {})}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = media_type
        seconds = self._timeout if within is None else within
        attempts = 2 if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                async with asyncio.timeout(seconds):
                    return await self._once(method, path, data, sent, params, maximum)
            except TimeoutError as error:
                raise UnreachableError(f"no answer from {self.url} in {seconds:g} s") from error
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if attempt == attempts:
                    raise UnreachableError(f"{self.url} does not answer: {_why(error)}") from error
            except (aiohttp.ClientError, OSError) as error:
                raise UnreachableError(f"{self.url} does not answer: {_why(error)}") from error
        raise AssertionError("unreachable")

    async def _once(
        self,
        method: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
        params: Parameters | None,
        maximum: int,
    ) -> Response:
        session, loop = self._open(), asyncio.get_running_loop()
        begin = loop.time()
        async with session.request(
            method, self.url + path, data=data, headers=headers, params=params
        ) as answer:
            content = bytearray()
            async for chunk in answer.content.iter_any():
                content += chunk
                if len(content) > maximum:
                    raise GarbageError(f"the answer to {method} {path} exceeds {maximum} bytes")
            response = Response(answer.status, answer.headers, bytes(content))
        milliseconds = round((loop.time() - begin) * 1000)
        emit(
            messages.API_CALL_NO_NEWS if response.status == 304 else messages.API_CALL,
            method=method,
            path=path,
            status_code=response.status,
            milliseconds=milliseconds,
        )
        if response.status // 100 == 2 or response.status == 304:
            return response
        raise refusal(response)

    async def get_all(self, questions: Sequence[many.Question]) -> list[many.Answer]:
        """The answers to many small reads; each is what it is, or what went wrong with it."""
        return await many.get_all(
            self.url, questions, actor=self._actor, seconds=self._timeout, limit=self._limit
        )

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit, keepalive_timeout=15),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _why(error: Exception) -> str:
    """Short: the library's text repeats the address and speaks of TLS where there is none."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    return str(error) or type(error).__name__
