"""Questions to one slot of an instance: bounded answers, in bounded time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from draas.contract.drasi_server import instance_path
from draas.model.slots import Slot

MAXIMUM_BODY = 8 * 1024 * 1024
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class NoAnswerError(Exception):
    """No complete answer in time; `listens` says whether anybody was there."""

    def __init__(self, reason: str, *, listens: bool) -> None:
        super().__init__(reason)
        self.listens = listens


@dataclass(frozen=True, slots=True)
class Address:
    """Where a slot is asked."""

    session: aiohttp.ClientSession
    host: str
    port: int

    async def get(self, path: str, within: float) -> tuple[int, bytes]:
        """Status and body.

        Raises:
            NoAnswerError: there is none.
        """
        url = URL.build(scheme="http", host=self.host, port=self.port).join(URL(path, encoded=True))
        try:
            async with asyncio.timeout(within), self.session.get(url, allow_redirects=False) as got:
                body = await got.content.read(MAXIMUM_BODY + 1)
                while len(body) <= MAXIMUM_BODY and (more := await got.content.read(MAXIMUM_BODY)):
                    body += more
        except TimeoutError:
            raise NoAnswerError(f"no answer in {within:g} s", listens=True) from None
        except aiohttp.ClientConnectorError as error:
            raise NoAnswerError(error.os_error.strerror or "refused", listens=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(str(error) or type(error).__name__, listens=True) from error
        if len(body) > MAXIMUM_BODY:
            raise NoAnswerError(f"the answer exceeds {MAXIMUM_BODY} bytes", listens=True)
        return got.status, body

    async def data(self, instance_id: str, path: str, within: float) -> Any:
        """What a route of the instance answers, out of its envelope.

        Raises:
            NoAnswerError: there is none, or it makes no sense.
        """
        status, body = await self.get(instance_path(quote(instance_id, safe="")) + path, within)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if status != 200 or not isinstance(answer, dict) or "data" not in answer:
            raise NoAnswerError(f"GET {path} answered {status} and no data", listens=True)
        return answer["data"]


def address(session: aiohttp.ClientSession, slot: Slot) -> Address:
    """Where the slot is asked; one that listens everywhere is asked on loopback."""
    return Address(session, WILDCARDS.get(slot.host, slot.host), slot.port)


def open_session() -> aiohttp.ClientSession:
    """A session in which every question is a connection of its own: slots come and go."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
