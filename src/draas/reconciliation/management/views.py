"""What the management API shows of the daemon's values, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from draas.model.audit import AuditEntry
from draas.model.clock import timestamp
from draas.model.reconciliation import Decision, Drift, Gate, Operation, Plan
from draas.reconciliation.daemon import Daemon
from draas.reconciliation.store import OperationEvent


def camel(name: str) -> str:
    """`next_look` → `nextLook`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _camelled(document: Mapping[str, Any]) -> dict[str, Any]:
    return {camel(name): value for name, value in document.items()}


def audit_entry(entry: AuditEntry) -> dict[str, Any]:
    """An audit entry with all its fields (B-109)."""
    return _camelled(asdict(entry))


def when(moment: datetime | None) -> str | None:
    """A moment as text."""
    return None if moment is None else timestamp(moment)


def drift(found: Drift) -> dict[str, Any]:
    """A drift; Unknown is its own verdict."""
    verdict = "unknown" if found.unknown else "drifted" if found else "in-sync"
    return {
        "verdict": verdict,
        "kinds": [kind.value for kind in found.kinds],
        "reason": found.unknown or found.cause,
    }


def gate(each: Gate) -> dict[str, Any]:
    """A gate."""
    return {
        "name": each.name,
        "passed": each.passed,
        "reason": each.reason,
        "until": when(each.until),
    }


def plan(made: Plan) -> dict[str, Any]:
    """A plan: what would be done now, and why or why not."""
    return {
        "decision": made.decision.value,
        "drift": drift(made.drift),
        "reason": made.reason,
        "strategy": made.strategy or None,
        "strategyReason": made.strategy_reason or None,
        "steps": list(made.steps),
        "targetDigest": made.target_digest or None,
        "digest": made.digest or None,
        "restoresLastGood": made.restores_last_good,
        "gates": [gate(each) for each in made.gates],
        "nextLook": when(made.next_look),
    }


def operation(open_one: Operation) -> dict[str, Any]:
    """An operation under way."""
    return {
        "id": open_one.id,
        "strategy": open_one.strategy,
        "phase": open_one.phase.value,
        "trigger": open_one.trigger.value,
        "actor": open_one.actor,
        "cause": open_one.cause,
        "attempt": open_one.attempt,
        "startedAt": when(open_one.started_at),
        "targetDigest": open_one.target_digest,
        "error": open_one.error,
        "inconclusive": open_one.inconclusive or None,
        "paused": open_one.paused or None,
        "step": _step_of(open_one),
        "checks": [asdict(each) for each in open_one.watch.checks],
    }


def _step_of(open_one: Operation) -> dict[str, Any] | None:
    """How a candidate does: which step, the verdict on it and its reasons."""
    if not open_one.slot:
        return None
    judged = open_one.watch.judgement
    return {
        "number": open_one.step + 1,
        "slot": open_one.slot,
        "servedBy": open_one.served_by,
        "since": when(open_one.phase_since),
        "verdict": judged.verdict.value if judged else None,
        "reasons": list(judged.reasons) if judged else [],
        "samples": judged.samples if judged else 0,
        "baselineSamples": judged.baseline_samples if judged else 0,
    }


def step(event: OperationEvent) -> dict[str, Any]:
    """A step of an operation."""
    return _camelled(asdict(event))


def last_seen(daemon: Daemon, instance_id: str) -> Drift:
    """The drift by the latest state; Unknown as long as the control plane does not answer."""
    seen = daemon.fleet.drift(instance_id)
    if not daemon.link.is_away:
        return seen
    return Drift(
        unknown=f"the control plane does not answer for {daemon.link.away_for():.0f} s "
        f"({daemon.link.reason}); the last that was seen was {drift(seen)['verdict']}"
    )


def summary(daemon: Daemon, instance_id: str) -> dict[str, Any]:
    """A line of the list: an instance's drift state and what is done about it."""
    state = daemon.fleet.states.get(instance_id)
    made = daemon.fleet.plans.get(instance_id)
    under_way = daemon.journal.open.get(instance_id)
    memory = daemon.fleet.memory(instance_id)
    quarantine = memory.quarantine_of(state.desired_digest) if state else None
    seen = last_seen(daemon, instance_id)
    undecided = "undecided" if seen else Decision.IN_SYNC.value
    nothing = Decision.UNKNOWN.value if seen.unknown else undecided
    return {
        "instanceId": instance_id,
        "drift": drift(seen),
        "decision": "working" if under_way else made.decision.value if made else nothing,
        "blockedBy": made.blocked_by.name if made and made.blocked_by else None,
        "planDigest": made.digest or None if made else None,
        "status": state.status if state else "Unknown",
        "desiredRunState": state.desired_run_state if state else "Unknown",
        "health": state.health if state else "Unknown",
        "generation": state.generation if state else None,
        "desiredDigest": state.desired_digest if state else None,
        "appliedDigest": state.applied_digest if state else None,
        "operation": operation(under_way) if under_way else None,
        "quarantine": {
            "digest": quarantine.digest,
            "reason": quarantine.reason,
            "since": when(quarantine.since),
        }
        if quarantine
        else None,
        "failures": memory.failures,
        "nextLook": when(daemon.queue.due(instance_id)),
    }
