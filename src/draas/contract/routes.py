"""Paths of the control plane and the daemon, written once for servers and clients (B-01)."""

from __future__ import annotations

from urllib.parse import quote

SERVERS = "/api/servers"
SERVERS_ALIAS = "/api/server"
INSTANCES = "/instances"
CONFIGURATION = "/api/configuration/instances"
CONFIGURATIONS = "/api/configurations"
CHANGES = "/api/changes"
STATUS = "/api/status"
RECENT_CHANGES = "/api/status/recent-changes"
STATUS_UPDATES = "/api/status/updates"
READY = "/ready"
CONTROL_PLANES = "/api/control-plane/replicas"

RECONCILIATION = "/api/reconciliation"
RECONCILED = "/api/reconciliation/instances"
OPERATIONS = "/api/reconciliation/operations"
ROLLOUTS = "/api/reconciliation/rollouts"
AUDIT = "/api/reconciliation/audit"
AUDIT_VERIFY = "/api/reconciliation/audit/verify"

ACTOR = "Draas-Actor"
FORWARDED = "Draas-Forwarded"
"""Set on what one replica asks another: it is answered there, or not at all."""
OPERATION = "Draas-Operation"
FENCE = "Draas-Fence"
IDEMPOTENCY_KEY = "Idempotency-Key"
LARGEST_FENCE = 2**53 - 1
"""What every JSON reader still counts exactly."""
GENERATION = "Draas-Generation"
DIGEST = "Draas-Digest"
ENUM_FORMAT = "Draas-Enum-Format"


def instance(instance_id: str, action: str = "", *, base: str = SERVERS) -> str:
    """The path of an instance, or of an action on it; the id is escaped (B-97)."""
    path = f"{base}{INSTANCES}/{quote(instance_id, safe='')}"
    return f"{path}/{action}" if action else path


def slots(instance_id: str, part: str = "", *, base: str = SERVERS) -> str:
    """The path of an instance's slots: all of them, `plan`, one by name, or `NAME/switch`."""
    return instance(instance_id, f"slots/{part}" if part else "slots", base=base)


def configuration(instance_id: str, part: str = "") -> str:
    """The path of an instance's desired configuration, or of a part such as `last-good`."""
    path = f"{CONFIGURATION}/{quote(instance_id, safe='')}"
    return f"{path}/{part}" if part else path


def status(instance_id: str) -> str:
    """The path of an instance's runtime information."""
    return f"{STATUS}/{quote(instance_id, safe='')}/status"


def reconciled(instance_id: str, action: str = "") -> str:
    """The daemon's path of an instance, or of an order such as `reconcile`."""
    path = f"{RECONCILED}/{quote(instance_id, safe='')}"
    return f"{path}/{action}" if action else path
