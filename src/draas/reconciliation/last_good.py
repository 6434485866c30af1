"""The configuration to go back to, wherever it is kept."""

from __future__ import annotations

from draas.client.port import ControlPlane, Desired
from draas.model.configuration import digest
from draas.model.reconciliation import Memory
from draas.reconciliation.explain import stored_document


async def last_good(control_plane: ControlPlane, memory: Memory) -> Desired | None:
    """The last good configuration of an instance: the control plane's, else the daemon's own."""
    if control_plane.capabilities.native:
        return await control_plane.last_good(memory.instance_id)
    if memory.good_document is None:
        return None
    document = stored_document(memory.good_document)
    return Desired(document, digest(document))
