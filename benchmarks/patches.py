"""Changes of configurations over HTTP, with the instants at which they were answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from benchmarks.documents import instance_id
from draas.client.http import HttpClient
from draas.contract import routes

PATCH = "application/json-patch+json"
FIELD = "/queries/0/bootstrapBufferSize"


def change(url: str, numbers: Iterable[int], value: int, *, every: float = 0) -> dict[str, float]:
    """PATCH one field of each instance to the value, `every` so many seconds, or all at once.

    The instants (monotonic) at which each was answered, by id.
    """
    return asyncio.run(_change(url, list(numbers), value, every))


async def _change(url: str, numbers: list[int], value: int, every: float) -> dict[str, float]:
    http = HttpClient(url, actor="benchmark", limit=64)
    body = [{"op": "replace", "path": FIELD, "value": value}]
    answered: dict[str, float] = {}

    async def one(number: int) -> None:
        path = routes.configuration(instance_id(number))
        await http.request("PATCH", path, body=body, media_type=PATCH)
        answered[instance_id(number)] = time.monotonic()

    try:
        if every:
            for number in numbers:
                await one(number)
                await asyncio.sleep(every)
        else:
            await asyncio.gather(*(one(number) for number in numbers))
    finally:
        await http.close()
    return answered
