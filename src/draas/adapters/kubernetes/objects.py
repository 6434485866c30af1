"""Lease objects as values: what of coordination.k8s.io/v1 matters here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease

OURS = {"app.kubernetes.io/managed-by": "draas"}
"""The labels of all Lease objects that belong to daemons."""


@dataclass(frozen=True, slots=True)
class LeaseObject:
    """A Lease object; `version` is `None` where it was not read but is to be made."""

    name: str
    holder: str
    notes: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None
    seconds: int | None = None
    transitions: int | None = None

    @classmethod
    def of(cls, lease: Lease) -> LeaseObject:
        """What was read."""
        about, says = lease.metadata or ObjectMeta(), lease.spec or LeaseSpec()
        return cls(
            about.name or "",
            says.holderIdentity or "",
            dict(about.annotations or {}),
            about.resourceVersion,
            says.leaseDurationSeconds,
            says.leaseTransitions,
        )

    def written(self, now: datetime) -> Lease:
        """What is to be written."""
        return Lease(
            metadata=ObjectMeta(
                name=self.name,
                labels=OURS,
                annotations=dict(self.notes),
                resourceVersion=self.version,
            ),
            spec=LeaseSpec(
                holderIdentity=self.holder,
                leaseDurationSeconds=self.seconds,
                leaseTransitions=self.transitions,
                renewTime=now,
            ),
        )
