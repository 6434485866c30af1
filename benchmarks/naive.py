"""The baseline: the source document's algorithm ported plainly, as a process of its own.

Its cycle: list the instances, get the configuration of each (five at a time, the default of
MaxConcurrentReconciliations), parse it into models, compare host, port, log level and the counts of
sources, queries and reactions with what was seen before, which is kept as models too.
`python -m benchmarks.naive URL`
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from benchmarks.lines import own_cpu, serve

CONCURRENT = 5


class Model(BaseModel):
    """Members that nobody named are kept."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class Instance(Model):
    """A row of the list."""

    id: str
    name: str
    description: str = ""
    status: str
    platform_type: str = Field("Process", alias="platformType")
    created_at: str = Field("", alias="createdAt")
    metadata: dict[str, str] = {}


class Source(Model):
    """A source."""

    id: str
    kind: str
    auto_start: bool = Field(True, alias="autoStart")


class Subscription(Model):
    """A source of a query."""

    source_id: str = Field(alias="sourceId")


class Query(Model):
    """A query."""

    id: str
    query: str
    query_language: str = Field("Cypher", alias="queryLanguage")
    auto_start: bool = Field(True, alias="autoStart")
    sources: list[Subscription] = []


class Reaction(Model):
    """A reaction."""

    id: str
    kind: str
    queries: list[str] = []
    auto_start: bool = Field(True, alias="autoStart")


class Configuration(Model):
    """A configuration, flat."""

    host: str | None = None
    port: int | None = None
    log_level: str | None = Field(None, alias="logLevel")
    sources: list[Source] = []
    queries: list[Query] = []
    reactions: list[Reaction] = []


INSTANCES = TypeAdapter(list[Instance])


def compare(desired: Configuration, actual: Configuration) -> list[str]:
    """The differences that the source document's comparison finds, in its words."""
    return [
        f"{name}: {was} → {wanted}"
        for name, was, wanted in (
            ("Host", actual.host, desired.host),
            ("Port", actual.port, desired.port),
            ("LogLevel", actual.log_level, desired.log_level),
            ("Sources count", len(actual.sources), len(desired.sources)),
            ("Queries count", len(actual.queries), len(desired.queries)),
            ("Reactions count", len(actual.reactions), len(desired.reactions)),
        )
        if was != wanted
    ]


class Reconciliation:
    """The cycle, with its cache of actual states; drift is found and not acted on."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._actual: dict[str, Configuration] = {}
        self._slots = asyncio.Semaphore(CONCURRENT)

    async def cycle(self) -> dict[str, Any]:
        """One cycle: how many were checked, drifted, failed, and the CPU that it took."""
        before = own_cpu()
        answer = await self._client.get("/api/servers/instances")
        instances = INSTANCES.validate_python(answer.raise_for_status().json())
        results = await asyncio.gather(*(self._check(each.id) for each in instances))
        return {
            "checked": len(instances),
            "drifted": sum(1 for found in results if found),
            "failed": sum(1 for found in results if found is None),
            "cpu": own_cpu() - before,
        }

    async def _check(self, instance_id: str) -> list[str] | None:
        async with self._slots:
            try:
                path = f"/api/configuration/instances/{instance_id}"
                answer = (await self._client.get(path)).raise_for_status()
            except httpx.HTTPError:
                return None
            desired = Configuration.model_validate(answer.json())
            actual = self._actual.setdefault(instance_id, desired)
            return compare(desired, actual)


async def main(url: str) -> None:
    """Answer `cycle` until stdin closes."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        reconciliation = Reconciliation(client)

        async def cycle(_: str) -> dict[str, Any]:
            return await reconciliation.cycle()

        await serve({"cycle": cycle})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
