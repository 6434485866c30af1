"""What sources, queries and reactions of one instance have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from draas.instance_host.documents import Document, resolved_component
from draas.instance_host.engine import Engine
from draas.instance_host.journal import Journal
from draas.instance_host.registry import Registry
from draas.model.clock import Clock


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The engine, the record of components, their journal, the clock and the environment."""

    engine: Engine
    registry: Registry
    journal: Journal
    clock: Clock
    environment: Mapping[str, str]

    def resolved(self, kind: str, document: Document) -> Document:
        """A checked document as it is used, without references; `ApiError` names what is wrong."""
        path = f"{kind} '{document['id']}'"
        return resolved_component(kind, document, self.environment, path)
