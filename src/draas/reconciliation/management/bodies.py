"""What orders take in their bodies: the keys of each, for the check and for the description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from draas.contract.bodies import JSON
from draas.reconciliation.management.parameters import one_of

LONGEST_SECONDS = 30 * 24 * 3600
LONGEST_REASON = 1000

Keys = Mapping[str, Mapping[str, Any]]
"""The keys that a body may have, each with its JSON Schema."""

_FLAG = {"type": "boolean", "default": False}
_TEXT = {"type": "string"}

RECONCILE: Keys = {
    "strategy": _TEXT,
    "dryRun": _FLAG,
    "allowStateLoss": _FLAG,
}
APPROVE: Keys = {
    "plan": _TEXT,
    "reason": _TEXT,
    "strategy": _TEXT,
    "expiresInSeconds": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SECONDS},
    "allowStateLoss": _FLAG,
}
REJECT: Keys = {"plan": _TEXT, "reason": _TEXT}
HAND: Keys = {"reason": {**_TEXT, "maxLength": LONGEST_REASON}}


def takes(keys: Keys, *required: str) -> dict[str, Any]:
    """What the description says of a route with such a body; it may be left out if no key must."""
    shape: dict[str, Any] = {
        "type": "object",
        "properties": keys,
        "additionalProperties": False,
    } | ({"required": list(required)} if required else {})
    return {"requestBody": {"required": bool(required), "content": {JSON: {"schema": shape}}}}


def require_keys(body: Mapping[str, Any], keys: Keys) -> None:
    """Refuse a body with any other key.

    Raises:
        ProblemError: invalid-parameter, with the keys that it may have.
    """
    for key in body:
        one_of("key of the body", key, tuple(keys))
