"""The closed sets of label values: a series can only have a name that stands here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

OTHER = "other"


class Labels:
    """A closed set of values for one label; everything else becomes `other`."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values = (*values, OTHER)
        self._by_key = {_key(value): value for value in self.values}

    def of(self, value: object) -> str:
        """The label for `value` (text or enum), whatever its case, hyphens and underscores."""
        return self._by_key.get(_key(str(value.value if isinstance(value, Enum) else value)), OTHER)


def _key(text: str) -> str:
    return text.replace("_", "").replace("-", "").casefold()


DRIFT_KINDS = Labels(("configuration", "observed", "run-state", "health"))
STRATEGIES = Labels(("Restart", "HotApply", "RollingUpdate", "BlueGreen", "Canary", "Manual"))
TRIGGERS = Labels(("change", "resync", "retry", "manual", "resume"))
OUTCOMES = Labels(("success", "failed", "rolled-back", "superseded"))
FAILURE_REASONS = Labels(("transient", "permanent"))
SKIP_REASONS = Labels(
    (
        "operation",
        "status",
        "quarantine",
        "validation",
        "approval",
        "two-slots",
        "state-loss",
        "rollout",
        "fleet-quarantine",
        "inconclusive",
        "back-off",
        "breaker",
        "stopped",
        "concurrency",
    )
)
METHODS = Labels(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
STATUS_CODES = Labels(str(code) for code in range(100, 600))
OPERATIONS = Labels(
    (
        "create",
        "delete",
        "configure",
        "start",
        "stop",
        "restart",
        "apply",
        "open-slot",
        "weigh",
        "switch",
        "close-slot",
        "adopt",
        "crash",
    )
)
INSTANCE_STATUSES = Labels(
    (
        "Created",
        "Starting",
        "Running",
        "Stopping",
        "Stopped",
        "Error",
        "ConfigurationChanged",
        "Unknown",
    )
)
