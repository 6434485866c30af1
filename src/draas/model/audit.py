"""The audit: entries that say what was done and why, chained so that a change to one shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

GENESIS = "sha256:" + "0" * 64
"""What the first entry is chained to."""
BEGINNING = ("started",)
ENDS = ("succeeded", "rolled-back", "failed", "superseded")


def told_once(outcome: str) -> tuple[str, ...]:
    """The outcomes of which an operation has one, if this is such: its beginning, its end.

    A store that has told one does not tell another: the answer to the first write was lost.
    """
    return next((kind for kind in (BEGINNING, ENDS) if outcome in kind), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One action or change of state (B-109); secrets are masked before it is made.

    `sequence`, `previous_hash` and `hash` are given by the store. `outcome` is one of started,
    succeeded, rolled-back, failed, superseded, held, adopted, released, gone.
    """

    instance_id: str
    timestamp: str
    action: str
    outcome: str
    drift_detected: bool = False
    drift_kinds: tuple[str, ...] = ()
    cause: str = ""
    summary: tuple[str, ...] = ()
    differences: tuple[dict[str, object], ...] = ()
    strategy: str = ""
    plan: tuple[str, ...] = ()
    trigger: str = ""
    actor: str = ""
    attempts: int = 0
    duration_seconds: float | None = None
    error: str = ""
    digest_before: str | None = None
    digest_after: str | None = None
    generation: int | None = None
    health_before: str = ""
    health_after: str = ""
    quarantined_digest: str | None = None
    operation_id: str | None = None
    sequence: int = 0
    previous_hash: str = ""
    hash: str = ""


def chained(entry: AuditEntry, sequence: int, previous_hash: str) -> AuditEntry:
    """The entry in its place: its hash covers its content, its number and the hash before it."""
    placed = replace(entry, sequence=sequence, previous_hash=previous_hash, hash="")
    return replace(placed, hash=_hash(asdict(placed)))


def broken_at(
    documents: Iterable[dict[str, Any]], previous_hash: str, expected: int | None = None
) -> int | None:
    """The number of the first entry that does not follow from the one before; `None` if all do.

    `documents` are entries in order with the snake_case fields of `AuditEntry`; fields that a later
    release added are covered like any other. `expected` is the number of the first, if known.
    """
    for document in documents:
        sequence = int(document["sequence"])
        intact = document["previous_hash"] == previous_hash and document["hash"] == _hash(document)
        if not intact or (expected is not None and sequence != expected):
            return sequence
        previous_hash = document["hash"]
        expected = sequence + 1
    return None


def _hash(document: dict[str, Any]) -> str:
    content = json.dumps({**document, "hash": ""}, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()
