"""Counters of slots out of Prometheus, by its HTTP API (`GET /api/v1/query`)."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from draas.client.port import GarbageError, RefusedError, UnreachableError
from draas.model.slots import Counters, Traffic

SECONDS = 10.0
MAXIMUM_BODY = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Queries:
    """PromQL for one slot; `{instance}` and `{slot}` are put in."""

    requests: str
    errors: str
    latency: str


class Prometheus:
    """Replaces what the router counted of requests, errors and latency; the rest stays as it is."""

    def __init__(self, session: aiohttp.ClientSession, url: str, queries: Queries) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._queries = queries

    async def counters(self, instance_id: str, counted: Traffic) -> Traffic:
        """The same slots, as Prometheus saw them.

        Raises:
            ControlPlaneError: no usable answer.
        """
        names = list(counted.slots)
        found = await asyncio.gather(*(self._of(instance_id, name) for name in names))
        slots = {
            name: msgspec.structs.replace(
                counted.slots[name],
                requests=each.requests,
                errors=each.errors,
                latency=each.latency,
            )
            for name, each in zip(names, found, strict=True)
        }
        return Traffic(at=counted.at, slots=slots)

    async def _of(self, instance_id: str, slot: str) -> Counters:
        texts = (self._queries.requests, self._queries.errors, self._queries.latency)
        put_in = {"instance": _quoted(instance_id), "slot": _quoted(slot)}
        requests, errors, latency = await asyncio.gather(
            *(self._ask(text.format(**put_in)) for text in texts)
        )
        return Counters(requests=_total(requests), errors=_total(errors), latency=_buckets(latency))

    async def _ask(self, query: str) -> list[dict[str, Any]]:
        url = f"{self._url}/api/v1/query"
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._session.get(url, params={"query": query}) as got,
            ):
                body = await got.content.read(MAXIMUM_BODY)
                while len(body) < MAXIMUM_BODY and (more := await got.content.read(MAXIMUM_BODY)):
                    body += more
        except TimeoutError:
            raise UnreachableError(f"no answer from Prometheus in {SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"Prometheus does not answer: {error}") from error
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise GarbageError(f"Prometheus' answer is not JSON: {error}") from error
        if not isinstance(answer, dict) or answer.get("status") != "success":
            why = str(answer.get("error", "")) if isinstance(answer, dict) else ""
            raise RefusedError(got.status, "", f"Prometheus refused the query: {why[:500]}")
        data = answer.get("data")
        if not isinstance(data, dict) or data.get("resultType") != "vector":
            raise GarbageError("Prometheus' answer is no vector")
        return [each for each in data.get("result") or [] if isinstance(each, dict)]


def _quoted(text: str) -> str:
    """As it stands between quotes in PromQL."""
    return json.dumps(text)[1:-1]


def _value(sample: dict[str, Any]) -> int:
    try:
        value = float(sample["value"][1])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise GarbageError("a sample of Prometheus has no value") from error
    return int(value) if math.isfinite(value) else 0


def _total(samples: list[dict[str, Any]]) -> int:
    return sum(map(_value, samples))


def _buckets(samples: list[dict[str, Any]]) -> list[tuple[float | None, int]]:
    found: dict[float, int] = {}
    for sample in samples:
        try:
            bound = float(sample["metric"]["le"])
        except (KeyError, TypeError, ValueError) as error:
            raise GarbageError("a bucket of Prometheus has no le") from error
        found[bound] = _value(sample)
    return [(bound if math.isfinite(bound) else None, found[bound]) for bound in sorted(found)]
