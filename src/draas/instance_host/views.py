"""How components are shown: list items, full views and the snapshot."""

from __future__ import annotations

from typing import Any

from draas.contract.drasi_server import (
    COLLECTIONS,
    COMPONENT_AUTO_START,
    ERROR,
    QUERY,
    REACTION,
    SOURCE,
    component_path,
    instance_path,
)
from draas.instance_host.documents import complete_query, properties, snapshot_query
from draas.instance_host.instance import Instance
from draas.instance_host.registry import Query, Reaction, Source
from draas.instance_host.routing import encoded

View = dict[str, Any]


async def instance_item(instance: Instance) -> View:
    """The instance in the list of instances."""
    base = instance_path(encoded(instance.id))
    links = {"self": base} | {name: f"{base}/{name}" for name in COLLECTIONS.values()}
    return {
        "id": instance.id,
        "source_count": len(instance.registry.sources),
        "query_count": len(instance.registry.queries),
        "reaction_count": len(instance.registry.reactions),
        "links": links,
    }


async def list_items(instance: Instance, kind: str) -> list[View]:
    """All components of a kind, without configuration."""
    statuses = await _statuses(instance, kind)
    return [
        _item(instance, kind, component, statuses[component.id])
        for component in instance.registry.of(kind).values()
    ]


async def one_item(instance: Instance, kind: str, component_id: str, full: bool) -> View:
    """One component; `full` adds its configuration. `ApiError` (404) if there is none."""
    statuses = await _statuses(instance, kind)
    component = instance.registry.get(kind, component_id)  # it may have been deleted meanwhile
    item = _item(instance, kind, component, statuses[component_id])
    return {**item, "config": _full(component)} if full else item


async def snapshot(instance: Instance) -> View:
    """The whole instance at one moment, in the snapshot's mixed spelling."""
    statuses = await instance.queries.statuses()
    registry = instance.registry
    return {
        "instance_id": instance.id,
        "timestamp": timestamp(instance),
        "sources": [_snapshot_source(source) for source in registry.sources.values()],
        "queries": [
            {"id": query.id, "config": snapshot_query(query.config), "status": statuses[query.id]}
            for query in registry.queries.values()
        ],
        "reactions": [_snapshot_reaction(reaction) for reaction in registry.reactions.values()],
        "edges": [{"from": start, "to": end} for start, end in registry.edges()],
    }


def timestamp(instance: Instance) -> str:
    """The current instant as RFC 3339 in UTC."""
    return instance.clock.now().isoformat().replace("+00:00", "Z")


async def _statuses(instance: Instance, kind: str) -> dict[str, str]:
    if kind == QUERY:
        return await instance.queries.statuses()
    return {component.id: component.status for component in instance.registry.of(kind).values()}


def _item(instance: Instance, kind: str, component: Source | Query | Reaction, status: str) -> View:
    path = component_path(encoded(instance.id), kind, encoded(component.id))
    item: View = {
        "id": component.id,
        "status": status,
        "links": {"self": path, "full": f"{path}?view=full"},
    }
    if isinstance(component, Reaction) and instance.reactions.holds(component):
        item["held"] = True
    if status == ERROR and component.error:
        item["error_message"] = component.error
    return item


def _full(component: Source | Query | Reaction) -> View:
    if isinstance(component, Query):
        return complete_query(component.config)
    view = {"kind": component.config["kind"], "id": component.id}
    if isinstance(component, Source):
        return {**view, **properties(SOURCE, component.config)}
    queries = component.config.get("queries") or []
    return {**view, "queries": queries, **properties(REACTION, component.config)}


def _snapshot_source(source: Source) -> View:
    return {
        "id": source.id,
        f"{SOURCE}_type": source.config["kind"],
        "status": source.status,
        "auto_start": source.config.get("autoStart", COMPONENT_AUTO_START),
        "properties": properties(SOURCE, source.config),
        "bootstrap_provider": source.config.get("bootstrapProvider"),
    }


def _snapshot_reaction(reaction: Reaction) -> View:
    return {
        "id": reaction.id,
        f"{REACTION}_type": reaction.config["kind"],
        "status": reaction.status,
        "auto_start": reaction.config.get("autoStart", COMPONENT_AUTO_START),
        "queries": reaction.config.get("queries") or [],
        "properties": properties(REACTION, reaction.config),
    }
