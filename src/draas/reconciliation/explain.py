"""Which fields differ, read and compared only when somebody acts or asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from draas.client.port import ControlPlane, ControlPlaneError, Desired
from draas.decide.compare import Comparison, compare, compare_observed
from draas.decide.rollout import shared_digest
from draas.model.configuration import ConfigurationError
from draas.model.instance import InstanceState
from draas.model.reconciliation import Drift, DriftKind, Memory
from draas.model.secrets import mask

NOTHING = Comparison((), ())


async def explain(
    control_plane: ControlPlane,
    state: InstanceState,
    drift: Drift,
    desired: Desired | None,
    memory: Memory,
) -> Comparison:
    """The differences behind a configuration drift: desired against applied, then observed.

    What cannot be read is left out: the digests have already shown that there is a difference.
    """
    if desired is None:
        return NOTHING
    try:
        if DriftKind.CONFIGURATION in drift.kinds:
            return compare(await applied_document(control_plane, state, memory), desired.document)
        if DriftKind.OBSERVED in drift.kinds:
            observed = await control_plane.observed(state.id)
            if observed is not None:
                return compare_observed(observed, mask(desired.document))
    except (ControlPlaneError, ConfigurationError):
        return NOTHING
    return NOTHING


async def applied_document(
    control_plane: ControlPlane, state: InstanceState, memory: Memory
) -> Mapping[str, Any] | None:
    """What the running server was started with, if that is kept anywhere."""
    if memory.applied_document is not None and memory.applied_digest == state.applied_digest:
        return stored_document(memory.applied_document)
    if state.applied_generation is None:
        return None
    return await control_plane.generation(state.id, state.applied_generation)


async def new_to_share(
    control_plane: ControlPlane, state: InstanceState, memory: Memory, desired: Desired
) -> str:
    """The digest of what others may get as well; empty where only what is its own is new."""
    wanted = shared_digest(desired.document)
    try:
        applied = await applied_document(control_plane, state, memory)
        return "" if applied is not None and shared_digest(applied) == wanted else wanted
    except (ControlPlaneError, ConfigurationError):
        return wanted


def stored_document(text: str) -> dict[str, Any]:
    """A configuration that the daemon keeps as JSON text."""
    document: dict[str, Any] = json.loads(text)
    return document


def as_records(comparison: Comparison) -> tuple[dict[str, object], ...]:
    """The differences as JSON values for audit and API; secrets are masked already."""
    return tuple(asdict(difference) for difference in comparison.differences)
