"""Problems on the wire (RFC 9457): types once, for the server and its clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "urn:draas:problem:"

STATUS: Mapping[str, int] = {
    "malformed-body": 400,
    "invalid-parameter": 400,
    "cross-site-request": 403,
    "instance-not-found": 404,
    "no-last-good": 404,
    "operation-not-found": 404,
    "slot-not-found": 404,
    "generation-not-found": 404,
    "host-not-found": 404,
    "route-not-found": 404,
    "method-not-allowed": 405,
    "host-alive": 409,
    "instance-exists": 409,
    "instance-running": 409,
    "instance-not-running": 409,
    "instance-busy": 409,
    "stopped-by-user": 409,
    "patch-test-failed": 409,
    "restart-needed": 409,
    "stale-fence": 409,
    "left-to-another-daemon": 409,
    "plan-changed": 409,
    "nothing-to-approve": 409,
    "nothing-under-way": 409,
    "two-slots-impossible": 409,
    "slot-serves": 409,
    "slot-occupied": 409,
    "platform-unavailable": 409,
    "precondition-failed": 412,
    "body-too-large": 413,
    "unsupported-media-type": 415,
    "idempotency-key-reused": 422,
    "invalid-configuration": 422,
    "patch-path-missing": 422,
    "hot-apply-failed": 500,
    "start-failed": 500,
    "stop-failed": 500,
    "switch-failed": 500,
    "router-failed": 503,
    "internal-error": 500,
    "control-plane-unreachable": 503,
    "host-unreachable": 503,
    "instance-unobservable": 503,
    "replica-unreachable": 503,
    "store-unavailable": 503,
    "ports-exhausted": 507,
}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"enum": [PREFIX + kind for kind in STATUS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "instance"],
}
"""A problem's members, as JSON Schema; some types have more."""


class ProblemError(Exception):
    """A refused request: `kind` is the last part of its type, `members` its extra members."""

    def __init__(self, kind: str, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.members = members

    @property
    def status(self) -> int:
        """The HTTP status that the type stands for."""
        return STATUS[self.kind]

    def body(self, instance: str) -> dict[str, Any]:
        """The problem as JSON; `instance` is the path of the request."""
        return {
            "type": PREFIX + self.kind,
            "title": self.kind.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.members,
        }
