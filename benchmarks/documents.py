"""Configurations as in the measurements' description: 3 sources, 6 queries, 2 reactions, 4 KB."""

from __future__ import annotations

from typing import Any

FIRST_PORT = 10_000


def instance_id(number: int) -> str:
    """The id of the instance with that number."""
    return f"instance-{number:06d}"


def configuration(number: int) -> dict[str, Any]:
    """The configuration of an instance; no two are alike."""
    sources = [f"source-{each}" for each in range(3)]
    queries = [f"query-{each}" for each in range(6)]
    return {
        "host": "127.0.0.1",
        "port": FIRST_PORT + number,
        "logLevel": "info",
        "sources": [_source(each, 9000 + n) for n, each in enumerate(sources)],
        "queries": [_query(each, sources[n % 3], number) for n, each in enumerate(queries)],
        "reactions": [_reaction(f"reaction-{n}", queries[n * 3 : n * 3 + 3]) for n in range(2)],
    }


def _source(source: str, port: int) -> dict[str, Any]:
    return {
        "id": source,
        "kind": "http",
        "autoStart": True,
        "host": "127.0.0.1",
        "port": port,
        "endpoint": f"/sources/{source}/events",
        "timeoutMs": 30_000,
        "adaptiveEnabled": True,
        "adaptiveMaxBatchSize": 1000,
        "adaptiveMinBatchSize": 10,
    }


def _query(query: str, source: str, number: int) -> dict[str, Any]:
    return {
        "id": query,
        "query": (
            f"MATCH (v:Vehicle)-[:STANDS_IN]->(z:Zone) WHERE v.temperature > {number % 90} "
            "AND v.status = 'active' AND z.region = 'north-west' AND z.capacity > 12 "
            "RETURN v.id AS vehicle, v.temperature AS temperature, z.name AS zone, z.capacity AS "
            "capacity, v.updatedAt AS updatedAt"
        ),
        "queryLanguage": "Cypher",
        "autoStart": True,
        "enableBootstrap": True,
        "bootstrapBufferSize": 10_000,
        "sources": [{"sourceId": source, "pipeline": []}],
    }


def _reaction(reaction: str, queries: list[str]) -> dict[str, Any]:
    return {
        "id": reaction,
        "kind": "http",
        "queries": queries,
        "autoStart": True,
        "baseUrl": f"http://127.0.0.1:9100/reactions/{reaction}",
        "token": "${REACTION_TOKEN}",
        "timeoutMs": 5000,
        "routes": {
            query: {"added": {"url": f"/{query}/added", "method": "POST"}} for query in queries
        },
    }
