"""Manual: a plan waits until a person agrees to exactly this one (R-080, B-71).

Manual is a gate and not a way of applying: what is agreed to is then done by another strategy.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from draas.model.instance import InstanceState
from draas.model.reconciliation import Approval, Drift, Gate, Snapshot

MANUAL = "Manual"
"""The name that stands in settings and orders where a strategy could."""
APPROVAL = "approval"


def plan_digest(state: InstanceState, drift: Drift, target: str) -> str:
    """What a person agrees to: to bring this configuration over what runs now, for this drift.

    Anything else that is desired, applied or observed, and any other kind of drift, is another
    plan. How it is done is not part of it: the approver may name the strategy.
    """
    parts = [
        state.id,
        target,
        state.applied_digest,
        state.observed_components_digest,
        sorted(drift.kinds),
    ]
    return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def agreed(snapshot: Snapshot, digest: str, now: datetime) -> Approval | None:
    """The approval of this plan, if there is one that holds now."""
    given = snapshot.memory.approval
    return given if is_in_force(given, digest, now) else None


def is_in_force(given: Approval | None, digest: str, now: datetime) -> bool:
    """Whether a person agreed to this plan, and that holds now."""
    is_given = given is not None and given.granted and given.plan_digest == digest
    return is_given and given is not None and now < given.until


def has_expired(given: Approval | None, digest: str, now: datetime) -> bool:
    """Whether a person agreed to this plan, and it was not begun in time."""
    if given is None or not given.granted or given.plan_digest != digest:
        return False
    return now >= given.until


def approval_gate(snapshot: Snapshot, needed: bool, digest: str, now: datetime) -> Gate:
    """Whether what is to be done may be done without asking, or was agreed to."""
    given = snapshot.memory.approval
    if not needed:
        return Gate(APPROVAL, True)
    if given is None:
        return Gate(APPROVAL, False, "it waits for a person to approve the plan")
    if given.plan_digest != digest:
        return Gate(APPROVAL, False, f"the plan has changed since {given.actor} decided on it")
    if not given.granted:
        return Gate(APPROVAL, False, f"{given.actor} rejected it" + _because(given))
    if now >= given.until:
        return Gate(APPROVAL, False, f"the approval by {given.actor} has expired")
    return Gate(APPROVAL, True, f"{given.actor} approved it" + _because(given))


def _because(given: Approval) -> str:
    return f": {given.reason}" if given.reason else ""
