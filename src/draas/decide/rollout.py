"""The same new configuration over many instances: in waves, stopped where it fails, taken back.

Two instances have the same configuration where everything is equal but what is an instance's own:
id, addresses at which it or a part of it listens, names at a database. Those under way and those
that were changed so lately that they are not proven yet count as unavailable; the next begins when
there are fewer than the limit, in its group where instances are grouped by a label. Once it failed
on so many that it is to stop, or is in quarantine for the whole fleet, nobody begins any more, and
what was changed and is not proven yet goes back to what it ran before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from draas.decide.rules import Rules
from draas.model.normal import digest_of, normal_form
from draas.model.own import without_own
from draas.model.reconciliation import Drift, DriftKind, Gate, Memory, RolloutView

QUARANTINE = "fleet-quarantine"
ROLLOUT = "rollout"
RECHECK = timedelta(seconds=2)


def shared_digest(document: Mapping[str, Any]) -> str:
    """The digest of what instances may have in common."""
    return digest_of(without_own(normal_form(document)))


def is_condemned(view: RolloutView, rules: Rules) -> bool:
    """Whether it has failed on too many to be tried on any more."""
    return bool(view.digest) and view.failed >= min(rules.fleet_threshold, rules.max_failures + 1)


def limit(text: str, total: int) -> int | None:
    """How many may be unavailable at once: a count, or a share of all and at least one."""
    if not text:
        return None
    if text.endswith("%"):
        return max(1, int(total * float(text[:-1]) / 100))
    return int(text)


def rollout_gates(
    view: RolloutView, drift: Drift, rules: Rules, now: datetime, *, forward: bool
) -> tuple[Gate, ...]:
    """Whether an instance may be brought to the configuration now; a way back always may."""
    concerned = forward and bool(view.digest) and DriftKind.CONFIGURATION in drift.kinds
    if not concerned:
        return Gate(QUARANTINE, True), Gate(ROLLOUT, True)
    most = limit(rules.max_unavailable, view.total)
    return _quarantine(view, rules), _wave(view, most, now)


def _quarantine(view: RolloutView, rules: Rules) -> Gate:
    if not is_condemned(view, rules):
        return Gate(QUARANTINE, True)
    why = (
        f"the same configuration failed on {view.failed} instances ({view.reason}); it is not "
        f"tried on others until {view.digest} is released"
    )
    return Gate(QUARANTINE, False, why)


def _wave(view: RolloutView, most: int | None, now: datetime) -> Gate:
    if most is None or view.busy < most:
        return Gate(ROLLOUT, True)
    others = f"{view.busy} others" + (f" of group {view.group!r}" if view.group else "")
    why = f"{others} are being brought to the same configuration, or not proven yet"
    return Gate(ROLLOUT, False, f"{why}; Rollout:MaxUnavailable allows {most}", now + RECHECK)


def goes_back(
    memory: Memory, applied: str | None, view: RolloutView, rules: Rules, now: datetime
) -> bool:
    """Whether an instance that was changed lately is taken back with its wave."""
    changed = memory.last_operation_at
    if changed is None or memory.previous_digest is None or memory.previous_generation is None:
        return False
    if memory.failures or applied != memory.worked_digest or applied == memory.previous_digest:
        return False
    fresh = timedelta(0) <= now - changed < rules.rollout_healthy_time
    return fresh and memory.worked_shared == view.digest and is_condemned(view, rules)
