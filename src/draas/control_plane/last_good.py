"""Which configuration is the last good one: seen running well, and lasting."""

from __future__ import annotations

from datetime import datetime, timedelta

from draas.control_plane.records import Record, put
from draas.model.status import Health

PROBATION = timedelta(seconds=60)
"""A server that ends by itself within this time of its start did not prove its configuration."""


def praised(record: Record, health: Health, observed: str | None) -> Record:
    """The record after a look: the applied generation is good if it is healthy and as applied.

    The one that was good before is kept beside it, should the new one not last: who goes back to
    that one takes back that the newer one was good.
    """
    instance = record.instance
    good, applied = instance.last_good_generation, instance.applied_generation
    as_applied = observed is not None and observed == instance.applied_components_digest
    if health is not Health.HEALTHY or not as_applied or applied is None:
        return record
    if good is not None and applied == record.earlier_good_generation:
        return put(record, last_good_generation=applied, earlier_good_generation=None)
    if good is not None and applied <= good:
        return record
    return put(record, last_good_generation=applied, earlier_good_generation=good)


def doubted(record: Record, ended_at: str) -> Record:
    """The record after its server ended by itself: in probation the earlier good one counts."""
    slot, earlier = record.slot, record.earlier_good_generation
    if slot is None or earlier is None or slot.generation != record.instance.last_good_generation:
        return record
    if datetime.fromisoformat(ended_at) - datetime.fromisoformat(slot.at) >= PROBATION:
        return record
    return put(record, last_good_generation=earlier, earlier_good_generation=None)
